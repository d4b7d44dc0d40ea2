// Records of ring buffers that the program holds and has to give back.
import { RESERVATIONS, STATE_GENERATION, STATE_RESERVATIONS, STATE_RESERVED } from '../layout';
import { reservation } from './access';

export function freeReservation(s: usize): usize {
  for (let i: usize = 0; i < <usize>RESERVATIONS; i++) {
    const record = s + STATE_RESERVATIONS + (i << 4);
    if (load<u32>(record) == 0) return record;
  }
  return 0;
}

/** Writes the reservation down; returns what pointers into it carry. */
export function reserve(s: usize, reserved: usize, address: u32, size: u32, slot: u32): u32 {
  const generation = load<u32>(s, STATE_GENERATION) + 1;
  store<u32>(s, generation, STATE_GENERATION);
  const aux = (generation << 8) | <u32>((reserved - s - STATE_RESERVATIONS) >> 4);
  store<u32>(reserved, aux);
  store<u32>(reserved, address, 4);
  store<u32>(reserved, size, 8);
  store<u32>(reserved, slot, 12);
  store<u32>(s, load<u32>(s, STATE_RESERVED) + 1, STATE_RESERVED);
  return aux;
}

export function release(s: usize, aux: u32): void {
  const record = reservation(s, aux);
  if (record == 0) return;
  store<u32>(record, 0);
  store<u32>(s, load<u32>(s, STATE_RESERVED) - 1, STATE_RESERVED);
}
