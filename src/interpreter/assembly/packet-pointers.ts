// Pointers into the packet, after a helper that may have moved it.
import {
  FRAME_SAVED,
  FRAME_SPILLED,
  FRAME_SPILLS,
  KIND_METADATA,
  KIND_PACKET,
  KIND_STALE_PACKET,
  REGISTER_SIZE,
  REGISTER_TAG,
  STATE_DEPTH,
  TAG_IN_PACKET,
} from '../layout';
import { register } from './frames';
import { frameAt } from './provenance';

@inline function stale(tagAddress: usize): void {
  const tag = load<u32>(tagAddress);
  const kind = tag & 0xff;
  if (kind == KIND_PACKET || kind == KIND_METADATA || (tag & TAG_IN_PACKET) != 0) store<u32>(tagAddress, KIND_STALE_PACKET);
}

/** The packet may have moved: pointers into it, in registers, saved registers and spills, are worth nothing any more. */
export function dropPacketPointers(s: usize): void {
  for (let i: u32 = 0; i <= 9; i++) stale(register(s, i) + REGISTER_TAG);
  for (let i: u32 = load<u32>(s, STATE_DEPTH); i > 0; i--) {
    const frame = frameAt(s, i - 1);
    if (i > 1) for (let j: usize = 0; j < 4; j++) stale(frame + FRAME_SAVED + j * REGISTER_SIZE + REGISTER_TAG);
    const spilled = load<u64>(frame, FRAME_SPILLED);
    if (spilled == 0) continue;
    for (let slot: usize = 0; slot < 64; slot++) {
      if (((spilled >> slot) & 1) != 0) stale(frame + FRAME_SPILLS + (slot << 4));
    }
  }
}
