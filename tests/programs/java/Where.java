public class Where {
    public static void main(String[] args) {
        System.out.println(System.getProperty("user.dir") + " " + System.getenv("HOME"));
    }
}
