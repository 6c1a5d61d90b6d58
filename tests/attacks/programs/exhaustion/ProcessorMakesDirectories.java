// attack: makes thousands of directories from inside the compiler of Java, which the service then has to look through
// class: peers/compiler, exhaustion/files
// expect: held
// stopped-by: tmp-inodes
// outside: breached
// step: compile
// limits: tmp_inodes=2000
import java.nio.file.*;
import java.util.*;
import javax.annotation.processing.*;
import javax.lang.model.element.TypeElement;

@SupportedAnnotationTypes("*")
public class Main extends AbstractProcessor {
    private boolean done;

    @Override
    public boolean process(Set<? extends TypeElement> annotations, RoundEnvironment round) {
        if (done) return false;
        done = true;
        int made = 0;
        String said = "BREACHED: 6000 directories";
        try {
            for (; made < 6000; made++) Files.createDirectory(Path.of("/code/" + made));
        } catch (Exception error) {
            said = "held: no more after " + made;
            // Room for what the compiler writes.
            for (int i = 1; i < 9; i++) new java.io.File("/code/" + (made - i)).delete();
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
