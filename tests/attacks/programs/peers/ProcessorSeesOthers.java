// attack: looks for processes of others from inside the compiler of Java, to signal or to read them
// class: peers/compiler, peers/one-uid
// expect: held
// stopped-by: pid-namespace
// outside: breached
// step: compile
import java.nio.file.*;
import java.util.*;
import javax.annotation.processing.*;
import javax.lang.model.element.TypeElement;

@SupportedAnnotationTypes("*")
public class Main extends AbstractProcessor {
    @Override
    public boolean process(Set<? extends TypeElement> annotations, RoundEnvironment round) {
        int others = 0;
        try (DirectoryStream<Path> all = Files.newDirectoryStream(Path.of("/proc"), "[0-9]*")) {
            for (Path one : all) {
                // Its own: the init, the shell that called the compiler, and the compiler.
                String words = read(one.resolve("cmdline"));
                if (!words.contains("/code/Main.java") && !words.startsWith("/casemate/init")) others++;
            }
            Files.writeString(Path.of("/code/said"), others > 0 ? "BREACHED: " + others + " others" : "held: none but its own");
        } catch (Exception error) {
            throw new RuntimeException(error);
        }
        return false;
    }

    private static String read(Path file) {
        try {
            return Files.readString(file);
        } catch (Exception error) {
            return "";
        }
    }

    public static void main(String[] words) throws Exception {
        System.out.println(Files.readString(Path.of("/code/said")));
    }
}
