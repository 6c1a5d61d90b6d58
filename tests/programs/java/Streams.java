import java.util.List;
import java.util.stream.Collectors;

public class Streams {
    public static void main(String[] args) {
        System.out.println(List.of(1, 2, 3).stream().map(n -> n * 2).collect(Collectors.toList()));
    }
}
