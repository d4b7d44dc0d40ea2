/**
 * Instruction array (Linux 6.19): places in a program, for indirect jumps. From MAP_VALUES on, u64 each: the slots that `gotox` goes to,
 * as the engines know them; Linux keeps addresses of its JIT's code there. Behind them struct bpf_insn_array_value, 16 bytes each, which
 * is what user space reads and writes: u32 orig_off, xlated_off, jitted_off, and padding.
 */

/** u32: address of the first struct bpf_insn_array_value. */
export const INSN_ARRAY_OFFSETS = 64;
export const INSN_ARRAY_VALUE_SIZE = 16;
export const INSN_ARRAY_ORIGINAL = 0;
export const INSN_ARRAY_TRANSLATED = 4;
export const INSN_ARRAY_JITTED = 8;
