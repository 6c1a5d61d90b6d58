#include <cstdio>
#include <cstring>

// 40 MiB of stack, every page touched.
static int deeper(int n) {
    volatile char page[1024];
    std::memset(const_cast<char *>(page), n & 0x7f, sizeof page);
    return n == 0 ? 0 : deeper(n - 1) + 1 + page[0] - page[1023];
}

int main() {
    std::printf("%d\n", deeper(40960));
}
