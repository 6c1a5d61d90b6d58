public class Nested {
    static class Inner {
        String name() {
            return "inner";
        }
    }

    public static void main(String[] args) {
        System.out.println(new Inner().name());
    }
}
