// A table of a billion initialised entries: the compiler needs more memory than it may have, or more than a file may hold.
constexpr int size = 1000000000;
struct Table {
    int entries[size] = {1};
};
Table table;
int main() { return table.entries[size - 1]; }
