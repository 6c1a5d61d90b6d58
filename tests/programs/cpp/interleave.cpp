#include <iostream>

int main() {
    for (int n = 0; n < 500; n++) {
        std::cout << "out " << n << std::endl;
        std::cerr << "err " << n << std::endl;
    }
}
