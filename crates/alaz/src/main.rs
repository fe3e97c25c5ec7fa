//! See the library: this only hands over the exit code.

fn main() -> std::process::ExitCode {
    alaz::main()
}
