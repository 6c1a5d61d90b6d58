// attack: sleeps in Java
// class: exhaustion/time
// expect: time limit
// stopped-by: wall-time
// outside: breached
// limits: wall_ms=2000
class Main {
    public static void main(String[] words) throws Exception {
        Thread.sleep(3500);
        System.out.println("BREACHED: slept");
    }
}
