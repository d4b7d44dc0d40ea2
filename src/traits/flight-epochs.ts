/** Packets in flight, counted by the epoch of the registry in which they set out. */
import { InternalError } from '../errors.ts';

export class FlightEpochs {
  #epoch: number;
  /** Flights by epoch, in the order of epochs; no zero stays. */
  readonly #flights = new Map<number, number>();

  constructor(epoch = 0) {
    this.#epoch = epoch;
  }

  get epoch(): number {
    return this.#epoch;
  }

  /** Packets set out. Returns their epoch, for `leave`. */
  enter(): number {
    this.#flights.set(this.#epoch, (this.#flights.get(this.#epoch) ?? 0) + 1);
    return this.#epoch;
  }

  /** They have arrived, or are dropped. */
  leave(epoch: number): void {
    const flights = this.#flights.get(epoch);
    if (flights === undefined) throw new InternalError(`no packets of epoch ${epoch} are in flight`);
    if (flights === 1) this.#flights.delete(epoch);
    else this.#flights.set(epoch, flights - 1);
  }

  /** Packets that set out before this epoch are in flight. */
  anyBefore(epoch: number): boolean {
    for (const oldest of this.#flights.keys()) return oldest < epoch;
    return false;
  }

  /** Begins an epoch; returns it. */
  advance(): number {
    return ++this.#epoch;
  }
}

/** One flight after the other, of somebody who has packets in his hands all the time, others each time. */
export class Flight {
  readonly #flights: FlightEpochs;
  #epoch: number;

  constructor(flights: FlightEpochs) {
    this.#flights = flights;
    this.#epoch = flights.enter();
  }

  /** The packets have arrived; others set out. */
  renew(): void {
    this.end();
    this.#epoch = this.#flights.enter();
  }

  end(): void {
    this.#flights.leave(this.#epoch);
  }
}
