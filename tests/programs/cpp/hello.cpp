#include <iostream>
#include <optional>

// C++17 is the standard, stated: structured bindings, optional, if with an initialiser.
static_assert(__cplusplus == 201703L);

int main() {
    if (std::optional<const char *> word = "hello"; word) {
        std::cout << *word << '\n';
    }
}
