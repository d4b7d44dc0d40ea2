/** XDP in the kernel: a link on the interface, and verdicts that the program counts itself. */
import { attachXdp, type KernelLink, type XdpMode } from '../linux/links.ts';
import { type LinuxObject, loadLinux } from '../linux/load.ts';
import { readVerdicts, type VerdictCount, withVerdictCounter } from '../linux/verdict-counter.ts';
import type { ObjectSpec, ProgramSpec } from '../object/spec.ts';
import { fillMaps } from './map-input.ts';
import { withTailCallTargets } from './subjects.ts';
import type { LiveSession, SessionOptions } from './xdp-session.ts';

/** How often the count of packets is looked at. */
const LOOK_MS = 10;

export class KernelSession implements LiveSession {
  readonly how: string;
  readonly objects: LinuxObject[] = [];
  readonly #options: SessionOptions;
  readonly #link: KernelLink;

  constructor(object: ObjectSpec, program: ProgramSpec, mode: XdpMode, options: SessionOptions) {
    const way = mode === 'auto' ? 'native where the driver can' : mode;
    this.how = `in the kernel, ${options.hints ? 'native, bound to the interface' : way}`;
    this.#options = options;
    const loaded = this.#load(object, program);
    try {
      this.#link = attachXdp(loaded.programs[program.name]!, options.interfaceName, options.hints ? 'native' : mode);
    } catch (error) {
      loaded.close();
      throw error;
    }
  }

  verdicts(): readonly number[] {
    return this.#counts().map(({ packets }) => packets);
  }

  bytes(): number {
    return this.#counts().reduce((sum, { bytes }) => sum + bytes, 0);
  }

  details(): Readonly<Record<string, number>> {
    return {};
  }

  #counts(): VerdictCount[] {
    return this.objects
      .map(({ maps }) => readVerdicts(maps))
      .reduce((sum, each) =>
        sum.map(({ packets, bytes }, i) => ({ packets: packets + each[i]!.packets, bytes: bytes + each[i]!.bytes })),
      );
  }

  async serve(signal: AbortSignal): Promise<void> {
    const { count } = this.#options;
    const packets = () => this.verdicts().reduce((sum, each) => sum + each, 0);
    while (!signal.aborted && (count === Number.POSITIVE_INFINITY || packets() < count)) {
      await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
    }
  }

  async replace(object: ObjectSpec, program: ProgramSpec): Promise<void> {
    const loaded = this.#load(object, program);
    this.#link.update(loaded.programs[program.name]!);
  }

  async detach(): Promise<void> {
    this.#link.close();
  }

  close(): void {
    this.#link.close();
    for (const object of this.objects) object.close();
  }

  #load(object: ObjectSpec, program: ProgramSpec): LinuxObject {
    const counting = withVerdictCounter(object, program.name);
    const loaded = loadLinux(counting, {
      programs: withTailCallTargets(object, program),
      ...this.#options.pins,
      ...(this.#options.registry === undefined ? {} : { traits: this.#options.registry }),
      ...(this.#options.hints ? { device: this.#options.interfaceName } : {}),
    });
    try {
      fillMaps(loaded, this.#options.maps);
    } catch (error) {
      loaded.close();
      throw error;
    }
    this.objects.push(loaded);
    return loaded;
  }
}
