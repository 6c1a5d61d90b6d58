import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

public class TooMuchMemory {
    public static void main(String[] args) {
        System.out.println("before");
        List<Object> all = new ArrayList<>();
        for (int i = 0; i < 10; i++) {
            byte[] heap = new byte[16 << 20];
            Arrays.fill(heap, (byte) 1);
            all.add(heap);
            ByteBuffer direct = ByteBuffer.allocateDirect(24 << 20);
            while (direct.remaining() >= 4096) {
                direct.put((byte) 1).position(direct.position() + 4095);
            }
            all.add(direct);
        }
        System.out.println(all.size());
    }
}
