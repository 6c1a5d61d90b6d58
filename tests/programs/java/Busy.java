import java.lang.management.ManagementFactory;

public class Busy {
    // Processor seconds that three seconds of spinning get.
    public static void main(String[] args) {
        long end = System.nanoTime() + 3_000_000_000L;
        while (System.nanoTime() < end) {
        }
        System.out.println(ManagementFactory.getThreadMXBean().getCurrentThreadCpuTime() / 1e9);
    }
}
