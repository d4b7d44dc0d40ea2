// Strings.

// s2 is NUL-terminated; at most `size` bytes are compared (kernel/bpf/helpers.c bpf_strncmp).
export function bpf_strncmp(s1: u64, size: u64, s2: u64): i64 {
  const a = <usize>s1;
  const b = <usize>s2;
  for (let i: usize = 0; i < <usize>size; i++) {
    const x = <i32>load<u8>(a + i);
    const y = <i32>load<u8>(b + i);
    if (x != y) return x < y ? -1 : 1;
    if (x == 0) return 0;
  }
  return 0;
}
