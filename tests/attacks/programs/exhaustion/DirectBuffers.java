// attack: takes memory past the heap of Java
// class: exhaustion/memory
// expect: memory limit
// stopped-by: memory
// outside: breached
// limits: memory_mib=250 cpu_percent=0
import java.nio.ByteBuffer;

class Main {
    public static void main(String[] words) {
        byte[][] heap = new byte[200][];
        ByteBuffer[] direct = new ByteBuffer[200];
        for (int i = 0; i < heap.length; i++) {
            heap[i] = new byte[1 << 19];
            java.util.Arrays.fill(heap[i], (byte) 1);
        }
        for (int i = 0; i < direct.length; i++) {
            direct[i] = ByteBuffer.allocateDirect(1 << 20);
            for (int at = 0; at < 1 << 20; at += 4096) direct[i].put(at, (byte) 1);
        }
        System.out.println("BREACHED: 300 MiB");
    }
}
