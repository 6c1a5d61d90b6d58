/* getpid through the 32-bit ABI: its own table of calls, where a filter for 64 bits would see other numbers. */
int main(void) {
    long result = 20;
    __asm__ volatile("int $0x80" : "+a"(result) : : "memory");
    return 3;
}
