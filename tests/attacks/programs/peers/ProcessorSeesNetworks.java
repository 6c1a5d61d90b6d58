// attack: reads what sockets the host has from inside the compiler of Java
// class: peers/compiler, leaks/proc
// expect: held
// stopped-by: network-namespace
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
        int sockets = 0;
        try {
            for (String table : List.of("tcp", "tcp6", "udp")) {
                Path file = Path.of("/proc/self/net/" + table);
                // A line for each, below the heads of the columns.
                if (Files.isReadable(file)) sockets += Files.readAllLines(file).size() - 1;
            }
            Files.writeString(Path.of("/code/said"), sockets > 0 ? "BREACHED: " + sockets + " sockets" : "held: there are none");
        } catch (Exception error) {
            throw new RuntimeException(error);
        }
        return false;
    }

    public static void main(String[] words) throws Exception {
        System.out.println(Files.readString(Path.of("/code/said")));
    }
}
