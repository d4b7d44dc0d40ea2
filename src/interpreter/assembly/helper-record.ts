// What the image says of a helper or kfunc.
import { ARGUMENT_FUNCTION, HELPER_ARGUMENTS, HELPER_FIXED_SIZES } from '../layout';

@inline export function typeOf(record: usize, index: u32): u32 {
  return <u32>load<u8>(record + index, HELPER_ARGUMENTS);
}

@inline export function fixedSize(record: usize, number: u32): u32 {
  return load<u32>(record + (<usize>(number - 1) << 2), HELPER_FIXED_SIZES);
}

/** Number of the argument that is a function, 0 if none is. */
export function functionArgument(record: usize, count: u32): u32 {
  for (let i: u32 = 0; i < count; i++) if (typeOf(record, i) == ARGUMENT_FUNCTION) return i + 1;
  return 0;
}
