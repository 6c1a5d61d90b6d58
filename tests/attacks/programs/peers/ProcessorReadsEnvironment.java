// attack: reads variables of the service from inside the compiler of Java, as a processor of annotations
// class: peers/compiler, leaks/environment
// expect: held
// stopped-by: clean-environment
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
        String said = "held: none of the service";
        for (String name : System.getenv().keySet()) {
            if (name.startsWith("CASEMATE_") || name.startsWith("CMTEST_")) said = "BREACHED: " + name;
        }
        try {
            Files.writeString(Path.of("/code/said"), said);
        } catch (Exception error) {
            throw new RuntimeException(error);
        }
        return false;
    }

    public static void main(String[] words) throws Exception {
        System.out.println(Files.readString(Path.of("/code/said")));
    }
}
