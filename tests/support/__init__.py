"""What tests share: networks, files, and the parts of a `.bin`. No test imports a test."""
