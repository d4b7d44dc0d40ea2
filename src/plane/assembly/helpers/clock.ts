// Clocks. WebAssembly has none, so a running clock is one call out of the module; a frozen one never leaves it.
import { ROOT, ROOT_CLOCK_FROZEN, ROOT_CLOCK_OFFSET } from '../../layout/memory';

// CLOCK_MONOTONIC in ns; a double keeps it exact for 104 days of uptime and costs no BigInt.
@external("env", "now") declare function now(): f64;

export function bpf_ktime_get_ns(): u64 {
  const frozen = load<u64>(ROOT, ROOT_CLOCK_FROZEN);
  if (frozen != 0) return frozen;
  return <u64>now() + load<u64>(ROOT, ROOT_CLOCK_OFFSET);
}

export function bpf_ktime_get_boot_ns(): u64 {
  return bpf_ktime_get_ns();
}

export function bpf_ktime_get_coarse_ns(): u64 {
  return bpf_ktime_get_ns();
}

export function bpf_ktime_get_tai_ns(): u64 {
  return bpf_ktime_get_ns();
}

// CONFIG_HZ is 250 on Debian and on most distributions.
export function bpf_jiffies64(): u64 {
  return bpf_ktime_get_ns() / 4_000_000;
}
