// The compiler, waiting. Started as a source file, it is compiled by the very compiler that it is about to use, which thereby
// comes into memory; then it compiles a small program once more for practice. On descriptor 4 come the arguments of the real
// compilation, each ended by a NUL; its messages and its exit status are those of `javac`.

import java.io.FileInputStream;
import java.io.IOException;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Comparator;
import java.util.stream.Stream;

public class Javac {
    private static final String PRACTICE = "import java.util.*; public class Practice { interface Shape { double area(); }\n"
            + "static <T extends Comparable<T>> T most(List<T> all) { T best = all.get(0); for (T one : all) if (one.compareTo(best) > 0) best = one; return best; }\n"
            + "public static void main(String[] args) throws Exception { Scanner in = new Scanner(System.in); Map<String, Integer> seen = new HashMap<>();\n"
            + "for (String word : args) seen.merge(word, 1, Integer::sum); Shape unit = () -> 1.0; StringBuilder text = new StringBuilder();\n"
            + "for (int i = 0; i < 5; i++) { text.append(\"Number: \" + i).append('\\n'); } System.out.println(text + \" \" + unit.area() + most(Arrays.asList(1, 2, 3))); } }\n";

    public static void main(String[] ignored) throws IOException {
        Path practice = Files.createTempDirectory("practice");
        Path source = practice.resolve("Practice.java");
        Files.writeString(source, PRACTICE);
        // The program's own files may lie in the working directory by now: its classes, and a processor of annotations among
        // them, are for the real compilation alone.
        String[] arguments = {"-proc:none", "-cp", practice.toString(), "-encoding", "UTF-8", "-d", practice.toString(), source.toString()};
        com.sun.tools.javac.Main.compile(arguments, new PrintWriter(new StringWriter()));
        try (Stream<Path> made = Files.walk(practice)) {
            for (Path path : (Iterable<Path>) made.sorted(Comparator.reverseOrder())::iterator) {
                Files.delete(path);
            }
        }
        // As the launcher of javac has it: the compiler looks for classes in its working directory, not where this came from.
        System.setProperty("application.home", System.getProperty("java.home"));
        byte[] word;
        try (FileInputStream in = new FileInputStream("/proc/self/fd/4")) {
            word = in.readAllBytes();
        }
        String[] words = new String(word, StandardCharsets.UTF_8).split("\0", -1);
        // Options for the virtual machine are behind it; there is nothing behind the last NUL.
        String[] told = Arrays.stream(words, 0, words.length - 1).filter(w -> !w.startsWith("-J")).toArray(String[]::new);
        System.exit(com.sun.tools.javac.Main.compile(told));
    }
}
