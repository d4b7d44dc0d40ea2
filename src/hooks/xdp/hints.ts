/** What is known of a frame besides its bytes, in its descriptor: hints of a driver, and what programs stored (plane/assembly/traits/fixed.ts). */
import { InputError } from '../../errors.ts';
import {
  FRAME_HINT_HASH,
  FRAME_HINT_HASH_TYPE,
  FRAME_HINT_TIMESTAMP,
  FRAME_HINT_VLAN,
  FRAME_HINTS,
  FRAME_RX_HASH,
  FRAME_RX_HASH_TYPE,
  FRAME_RX_TIMESTAMP,
  FRAME_RX_VLAN,
  HINT_HASH,
  HINT_TIMESTAMP,
  HINT_VLAN,
  HINTS_DRIVER,
  STORED_SHIFT,
} from '../../plane/layout/frame.ts';
import type { XdpHints } from '../../runtime/handles.ts';

/** Of a driver; undefined: there is none that could know. Nothing is stored. Throws InputError `SLUICE_HINTS` for numbers out of range. */
export function writeHints(view: DataView, frame: number, hints: XdpHints | undefined): void {
  let known = hints === undefined ? 0 : HINTS_DRIVER;
  if (hints?.timestampNs !== undefined) {
    check('timestamp', hints.timestampNs, 64);
    known |= HINT_TIMESTAMP;
    view.setBigUint64(frame + FRAME_HINT_TIMESTAMP, hints.timestampNs, true);
  }
  if (hints?.hash !== undefined) {
    check('hash', hints.hash.value, 32);
    check('hash type', hints.hash.type, 32);
    known |= HINT_HASH;
    view.setUint32(frame + FRAME_HINT_HASH, hints.hash.value, true);
    view.setUint32(frame + FRAME_HINT_HASH_TYPE, hints.hash.type, true);
  }
  if (hints?.vlan !== undefined) {
    check('vlan protocol', hints.vlan.protocol, 16);
    check('vlan tci', hints.vlan.tci, 16);
    known |= HINT_VLAN;
    view.setUint16(frame + FRAME_HINT_VLAN, hints.vlan.protocol, false);
    view.setUint16(frame + FRAME_HINT_VLAN + 2, hints.vlan.tci, true);
  }
  view.setUint32(frame + FRAME_HINTS, known, true);
}

function check(name: string, value: number | bigint, bits: number): void {
  const number = typeof value === 'bigint' ? value : Number.isInteger(value) ? BigInt(value) : -1n;
  if (number !== BigInt.asUintN(bits, number))
    throw new InputError('SLUICE_HINTS', `${name} ${value}: a whole number of ${bits} bits`);
}

/** What programs stored; undefined: nothing. */
export function storedOf(view: DataView, frame: number): XdpHints | undefined {
  return read(view, frame, view.getUint32(frame + FRAME_HINTS, true) >>> STORED_SHIFT, 0);
}

/** What is known of the frame, by whoever said it: as bpf_xdp_metadata_rx_* find it, and as an sk_buff gets it. */
export function knownOf(view: DataView, frame: number): XdpHints | undefined {
  const hints = view.getUint32(frame + FRAME_HINTS, true);
  return read(view, frame, hints >>> STORED_SHIFT, hints & ~HINTS_DRIVER);
}

function read(view: DataView, frame: number, stored: number, driver: number): XdpHints | undefined {
  const of = (hint: number, storedAt: number, driverAt: number): number | undefined => {
    if ((stored & hint) !== 0) return frame + storedAt;
    return (driver & hint) !== 0 ? frame + driverAt : undefined;
  };
  const time = of(HINT_TIMESTAMP, FRAME_RX_TIMESTAMP, FRAME_HINT_TIMESTAMP);
  const hash = of(HINT_HASH, FRAME_RX_HASH, FRAME_HINT_HASH);
  const type = of(HINT_HASH, FRAME_RX_HASH_TYPE, FRAME_HINT_HASH_TYPE);
  const vlan = of(HINT_VLAN, FRAME_RX_VLAN, FRAME_HINT_VLAN);
  if (time === undefined && hash === undefined && vlan === undefined) return undefined;
  return {
    ...(time === undefined ? {} : { timestampNs: view.getBigUint64(time, true) }),
    ...(hash === undefined || type === undefined
      ? {}
      : { hash: { value: view.getUint32(hash, true), type: view.getUint32(type, true) } }),
    ...(vlan === undefined
      ? {}
      : { vlan: { protocol: view.getUint16(vlan, false), tci: view.getUint16(vlan + 2, true) } }),
  };
}

/** As the results of runs have it. */
export function storedAfter(view: DataView, frame: number): { readonly stored?: XdpHints } {
  const stored = storedOf(view, frame);
  return stored === undefined ? {} : { stored };
}
