// attack: makes threads of Java until there are no more
// class: exhaustion/processes
// expect: held
// stopped-by: pids
// outside: breached
// limits: pids=60
class Main {
    public static void main(String[] words) throws Exception {
        int made = 0;
        try {
            for (; made < 100; made++) {
                Thread thread = new Thread(() -> { try { Thread.sleep(60000); } catch (InterruptedException end) { } });
                thread.setDaemon(true);
                thread.start();
            }
            System.out.println("BREACHED: 100 threads");
        } catch (OutOfMemoryError error) {
            System.out.println("held: no more after " + made);
        }
        System.out.flush();
        Runtime.getRuntime().halt(0);
    }
}
