import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;

public class WriteCode {
    public static void main(String[] args) {
        try {
            Files.writeString(Path.of("/code/x"), "x");
            System.out.println("allowed");
        } catch (IOException error) {
            System.out.println("refused");
        }
    }
}
