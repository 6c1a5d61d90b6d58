class Square {
    static int of(int n) {
        return n * n;
    }
}

public class TwoClasses {
    public static void main(String[] args) {
        System.out.println(Square.of(2));
    }
}
