import java.util.ArrayList;
import java.util.List;

public class HeapFull {
    public static void main(String[] args) {
        List<byte[]> all = new ArrayList<>();
        for (;;) {
            all.add(new byte[8 << 20]);
        }
    }
}
