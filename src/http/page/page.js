// The page: submits a program, follows its events, shows what it prints. What comes from a program or from the service gets
// into the page as text and in no other way. Nothing is kept but in memory.

const byId = (id) => document.getElementById(id);
const [form, language, source, stdin, token, run, cancel, status, problem, output, facts] = [
    "form", "language", "source", "stdin", "token", "run", "cancel", "status", "problem", "output", "facts",
].map(byId);

// How much of an output is shown, in characters; more of it makes browsers slow.
const SHOWN = 1 << 20;
// How often a connection that broke off is opened again before the page asks for the result alone.
const AGAIN = 5;

// What there is where the service does not list its languages.
const LANGUAGES = [
    { name: "python", example: 'name = input()\nprint(f"Hello, {name}!")\n' },
    { name: "c", example: '#include <stdio.h>\n\nint main(void) {\n    puts("Hello!");\n    return 0;\n}\n' },
    { name: "cpp", example: '#include <iostream>\n\nint main() {\n    std::cout << "Hello!\\n";\n}\n' },
    {
        name: "java",
        example: 'public class Main {\n    public static void main(String[] args) {\n        System.out.println("Hello!");\n    }\n}\n',
    },
];

let languages = LANGUAGES;
// What runs now: the id of the submission, once it is known, and what ends the wait for it.
let current = null;

class Refused extends Error {}

// One request. What is not a success is thrown, with the words of the problem document.
async function ask(path, options = {}) {
    const headers = { ...options.headers };
    if (token.value !== "") {
        headers.Authorization = `Bearer ${token.value}`;
    }
    const reply = await fetch(path, { ...options, headers, cache: "no-store" });
    if (reply.ok) {
        return reply;
    }
    if (reply.status === 401) {
        byId("token-field").hidden = false;
        token.focus();
    }
    const document = await reply.json().catch(() => ({}));
    const detail = document.detail ?? `The service answered ${reply.status}.`;
    const told = !document.remedy || detail.includes(document.remedy);
    throw new Refused(told ? detail : `${detail}: ${document.remedy}`);
}

const pause = (milliseconds) => new Promise((done) => setTimeout(done, milliseconds));

// ---------------------------------------------------------------- languages

function choose() {
    const known = languages.map((one) => one.example ?? "");
    // A program of the reader's own is not replaced.
    if (source.value === "" || known.includes(source.value)) {
        const chosen = languages.find((one) => one.name === language.value);
        source.value = chosen?.example ?? "";
        stdin.value = chosen?.stdin ?? "";
    }
}

function list(all) {
    // The example that is shown belongs to the list before; a program of the reader's own stays.
    if (languages.some((one) => one.example === source.value)) {
        source.value = "";
    }
    languages = all;
    const chosen = language.value;
    language.replaceChildren(...all.map((one) => new Option(one.title ?? one.name, one.name)));
    if (all.some((one) => one.name === chosen)) {
        language.value = chosen;
    }
    choose();
}

async function listed() {
    list(LANGUAGES);
    try {
        const reply = await (await ask("/v1/languages")).json();
        const all = Array.isArray(reply) ? reply : reply.languages;
        list(all.map(({ name, title, version, example }) => ({
            name: String(name),
            title: [title ?? name, version].filter(Boolean).join(" "),
            example: example?.source,
            stdin: example?.stdin,
        })));
    } catch {
        // The list of the page has to do.
    }
}

// ---------------------------------------------------------------- output

// Collected until the next frame, so that a flood is drawn sixty times a second and not at every event.
let waiting = [];
let shown = 0;
let decoders = new Map();

function clear() {
    waiting = [];
    shown = 0;
    decoders = new Map();
    output.replaceChildren();
}

function draw() {
    const stays = output.scrollHeight - output.scrollTop - output.clientHeight < 4;
    for (const [kind, text] of waiting) {
        const last = output.lastElementChild;
        if (last?.className === kind) {
            last.append(text);
        } else {
            const part = document.createElement("span");
            part.className = kind;
            part.append(text);
            output.append(part);
        }
    }
    waiting = [];
    if (stays) {
        output.scrollTop = output.scrollHeight;
    }
}

function print(kind, text) {
    if (text === "" || shown > SHOWN) {
        return;
    }
    shown += text.length;
    if (waiting.length === 0) {
        requestAnimationFrame(draw);
    }
    const more = shown > SHOWN ? [["note", "\n(more is not shown here)\n"]] : [];
    waiting.push([kind, text], ...more);
}

// Bytes of a stream as text; what is none becomes U+FFFD.
function text(place, encoding, data) {
    if (encoding === "utf-8" && !decoders.has(place)) {
        return data;
    }
    if (!decoders.has(place)) {
        decoders.set(place, new TextDecoder());
    }
    const bytes = encoding === "base64" ? Uint8Array.from(atob(data), (one) => one.charCodeAt(0)) : new TextEncoder().encode(data);
    return decoders.get(place).decode(bytes, { stream: true });
}

function printed({ step, number, stream, encoding, data }) {
    const kind = step === "compile" ? "compile" : stream;
    print(kind, text(`${step} ${number} ${stream}`, encoding, data));
}

// ---------------------------------------------------------------- the end

const seconds = (us) => (us === null || us === undefined ? "not known" : `${(us / 1e6).toFixed(3)} s`);
const bytes = (n) => (n === null || n === undefined ? "not known" : `${(n / 1048576).toFixed(1)} MiB`);

function tell(words, kind = "") {
    status.textContent = words;
    status.className = kind;
}

function complain(error) {
    problem.textContent = error instanceof Refused ? error.message : `The service cannot be reached (${error.message}).`;
    problem.hidden = false;
}

function fact(name, value) {
    const [term, description] = ["dt", "dd"].map((tag) => document.createElement(tag));
    term.textContent = name;
    description.textContent = value;
    facts.append(term, description);
}

function ended(result) {
    const status = result.verdict === "exit_status" ? ` ${(result.run ?? {}).exit_status}` : "";
    const words = String(result.verdict ?? result.status).replaceAll("_", " ") + status;
    const why = result.limit ? `, limit ${result.limit}` : "";
    tell(`Ended: ${words}${why}`, result.verdict === "accepted" ? "good" : "bad");
    const step = result.run ?? result.compile ?? {};
    facts.replaceChildren();
    fact("Verdict", `${words}${why}`);
    if (result.error) {
        fact("Error", result.error);
    }
    if (step.exit_status !== null && step.exit_status !== undefined) {
        fact("Exit status", String(step.exit_status));
    }
    if (step.signal) {
        fact("Signal", step.signal);
    }
    fact("Time", seconds(result.wall_us));
    fact("Processor time", seconds(result.cpu_us));
    fact("Memory", bytes(result.memory_bytes));
    fact("Waited", seconds(result.queue_us));
    facts.hidden = false;
    if (step.stdout_truncated || step.stderr_truncated) {
        print("note", "\n(more was printed than is kept)\n");
    }
}

// Everything that a result has printed: for those to whom no events came.
function whole(result) {
    clear();
    const steps = [["compile", result.compile], ["run", result.run]].filter(([, step]) => step);
    for (const [name, step] of steps) {
        for (const stream of ["stdout", "stderr"]) {
            printed({ step: name, stream, encoding: step[`${stream}_encoding`], data: step[stream] });
        }
    }
}

// ---------------------------------------------------------------- events

// The events of a stream of text, in the form of the HTML standard as far as the service uses it.
async function* events(body) {
    const reader = body.pipeThrough(new TextDecoderStream()).getReader();
    let buffer = "";
    for (;;) {
        const { value, done } = await reader.read();
        if (done) {
            return;
        }
        buffer += value;
        let end;
        while ((end = buffer.indexOf("\n\n")) >= 0) {
            const event = {};
            for (const line of buffer.slice(0, end).split("\n")) {
                const colon = line.indexOf(":");
                if (colon > 0) {
                    event[line.slice(0, colon)] = line.slice(colon + 1).replace(/^ /, "");
                }
            }
            buffer = buffer.slice(end + 2);
            if (event.data !== undefined) {
                yield { name: event.event, id: event.id, data: JSON.parse(event.data) };
            }
        }
    }
}

const handlers = {
    state: ({ status: word }) => tell(word === "running" ? "Running…" : "Waiting for its turn…"),
    step: ({ step }) => tell(step === "compile" ? "Compiling…" : "Running…"),
    output: printed,
    skipped: ({ bytes: n }) => print("note", `\n(${n} bytes are not shown here)\n`),
    restart: clear,
};

// Follows a submission to its end; the result, or nothing when no more events can be had.
async function follow(place, signal) {
    let last = "";
    for (let attempt = 0; attempt < AGAIN; attempt++) {
        try {
            const headers = last === "" ? {} : { "Last-Event-ID": last };
            const reply = await ask(`${place}/events`, { headers, signal });
            for await (const { name, id, data } of events(reply.body)) {
                if (id !== undefined) {
                    last = id;
                    attempt = 0;
                }
                if (name === "end") {
                    return data.location === undefined ? data : await (await ask(data.location, { signal })).json();
                }
                handlers[name]?.(data);
            }
        } catch (error) {
            if (signal.aborted || error instanceof Refused) {
                return null;
            }
        }
        await pause(1000);
    }
    return null;
}

// The same without events.
async function poll(place, signal) {
    for (;;) {
        const result = await (await ask(`${place}?wait=10`, { signal })).json();
        if (result.ended_at !== null) {
            whole(result);
            return result;
        }
        tell(result.status === "running" ? "Running…" : "Waiting for its turn…");
    }
}

// ---------------------------------------------------------------- the form

async function submit() {
    current?.abort.abort();
    const abort = new AbortController();
    current = { abort, place: null };
    const mine = current;
    clear();
    problem.hidden = true;
    facts.hidden = true;
    tell("Sending…");
    // On a narrow page the result stands below the form.
    const result = document.getElementById("result");
    if (result.getBoundingClientRect().bottom > innerHeight) {
        result.scrollIntoView();
    }
    run.disabled = true;
    try {
        const body = JSON.stringify({ language: language.value, source: source.value, stdin: stdin.value });
        const headers = { "Content-Type": "application/json" };
        const accepted = await (await ask("/v1/submissions", { method: "POST", body, headers, signal: abort.signal })).json();
        mine.place = `/v1/submissions/${accepted.id}`;
        cancel.disabled = false;
        ended((await follow(mine.place, abort.signal)) ?? (await poll(mine.place, abort.signal)));
    } catch (error) {
        if (!abort.signal.aborted) {
            tell("Not run.", "bad");
            complain(error);
        }
    }
    if (current === mine) {
        // Who is on a button that goes out of use would be nowhere.
        run.disabled = false;
        if (document.activeElement === cancel || document.activeElement === document.body) {
            run.focus();
        }
        cancel.disabled = true;
        current = null;
    }
}

form.addEventListener("submit", (event) => {
    event.preventDefault();
    void submit();
});

form.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey) && !run.disabled) {
        event.preventDefault();
        form.requestSubmit();
    }
});

cancel.addEventListener("click", () => {
    if (current?.place) {
        ask(current.place, { method: "DELETE" }).catch(complain);
    }
});

language.addEventListener("change", choose);
void listed();
