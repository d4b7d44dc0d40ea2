/** What all hooks ask of the input of a test run. */
import { InputError } from '../errors.ts';
import type { RunInput } from '../runtime/handles.ts';

/** Input that the kernel would refuse with that errno. */
export function invalid(text: string, errno = 'EINVAL'): InputError {
  return new InputError('SLUICE_RUN_INPUT', `${errno}: ${text}`);
}

export function repeatOf(input: RunInput): number {
  const repeat = input.repeat ?? 1;
  if (!Number.isInteger(repeat) || repeat < 1 || repeat > 0xffff_ffff) throw invalid(`repeat ${repeat}`);
  return repeat;
}

/** The whole struct, with zeros for what the caller left away. InputError E2BIG for bytes beyond it that are not zero. */
export function wholeStruct(context: Uint8Array, size: number, struct: string): Uint8Array {
  if (context.subarray(size).some((byte) => byte !== 0))
    throw invalid(`context is longer than struct ${struct}`, 'E2BIG');
  const whole = new Uint8Array(size);
  whole.set(context.subarray(0, size));
  return whole;
}

/** Throws EINVAL unless all bytes in [from, to) are zero. */
export function mustBeZero(context: Uint8Array, from: number, to: number): void {
  const at = context.subarray(from, to).findIndex((byte) => byte !== 0);
  if (at >= 0) throw invalid(`byte ${from + at} of the context must be 0: the caller cannot set that field`);
}
