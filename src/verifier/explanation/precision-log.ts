/** What Linux logs at level 2 while it walks back after a value that decided something (__mark_chain_precision, backtrack_insn). */
import { isPrecise, isScalarRecord, type Needed, type PrecisionObserver } from '../states/precision.ts';
import { frameAt, REGISTERS, words } from '../states/records.ts';
import type { SavedState } from '../states/state.ts';
import type { Verification } from '../verification.ts';
import { frameText } from './register-text.ts';

export class PrecisionLog implements PrecisionObserver {
  readonly #tell: (text: string, comparing: boolean) => void;
  readonly #insnText: (v: Verification, slot: number) => string;

  /** A state is compared with one that was kept. */
  #comparing = false;

  /** `tell` gets whole lines. */
  constructor(tell: (text: string, comparing: boolean) => void, insnText: (v: Verification, slot: number) => string) {
    this.#tell = tell;
    this.#insnText = insnText;
  }

  #write(text: string): void {
    this.#tell(text, this.#comparing);
  }

  compared(): void {
    this.#comparing = false;
  }

  begun(frame: number, last: number, first: number, next: number): void {
    this.#write(`mark_precise: frame${frame}: last_idx ${last} first_idx ${first} subseq_idx ${next} \n`);
  }

  stepped(v: Verification, frame: number, slot: number, needed: Needed): void {
    const where = `regs=${registersText(needed.registers)} stack=${slotsText(needed.low, needed.high)}`;
    this.#write(`mark_precise: frame${frame}: ${where} before ${slot}: ${this.#insnText(v, slot)}\n`);
  }

  reached(v: Verification, saved: SavedState, frame: number, needed: Needed): void {
    const where = `regs=${registersText(needed.registers)} stack=${slotsText(needed.low, needed.high)}`;
    this.#write(`mark_precise: frame${frame}: parent state ${where}:  ${savedText(v, saved, frame)}\n`);
  }

  inherited(from: SavedState): void {
    this.#comparing = true;
    for (let frame = from.frames.length - 1; frame >= 0; frame--) {
      const { data, slots } = from.frames[frame]!;
      const names: string[] = [];
      for (let place = 0; place < REGISTERS + slots; place++)
        if (isScalarRecord(data, place) && isPrecise(data, place)) names.push(placeName(place));
      if (names.length > 0) this.#write(`frame ${frame}: propagating ${names.join(',')}\n`);
    }
  }

  lost(frame: number): void {
    this.#write(`mark_precise: frame${frame}: falling back to forcing all scalars precise\n`);
  }

  forced(frame: number, place: number): void {
    this.#write(`force_precise: frame${frame}: forcing ${placeName(place)} to be precise\n`);
  }
}

/** Registers come first, then the stack slots from the top down. */
function placeName(place: number): string {
  return place < REGISTERS ? `r${place}` : `fp-${(place - REGISTERS + 1) * 8}`;
}

function registersText(registers: number): string {
  const names: string[] = [];
  for (let i = 0; i < REGISTERS; i++) if ((registers & (1 << i)) !== 0) names.push(`r${i}`);
  return names.join(',');
}

function slotsText(low: number, high: number): string {
  const names: string[] = [];
  for (let slot = 0; slot < 64; slot++)
    if (((slot < 32 ? low : high) & (1 << (slot & 31))) !== 0) names.push(`-${(slot + 1) * 8}`);
  return names.join(',');
}

/** A frame of a saved state: it takes the place of the one at hand for so long. */
function savedText(v: Verification, saved: SavedState, frame: number): string {
  const { data, slots } = saved.frames[frame]!;
  const at = frameAt(frame) >> 2;
  const before = words.slice(at, at + data.length);
  const { references } = v.state;
  words.set(data, at);
  v.state.references = [...saved.references];
  try {
    return frameText(v, frame, slots);
  } finally {
    words.set(before, at);
    v.state.references = references;
  }
}
