/**
 * Plain system calls in place of requests, where they cost less: what is in memory already is read faster by pread(2) than by any ring, and file systems
 * in memory have no way of not waiting, so that a ring hands their requests to a worker thread. Chosen by file system and operation.
 */
import type { PlainCalls, PlainChoice } from '../runtime/ring-backend.ts';
import { addressOf, readVector, syscall } from './ffi.ts';

const RWF_NOWAIT = 8;
const EAGAIN = 11;
const EOPNOTSUPP = 95;
const AT_EMPTY_PATH = 0x1000;
const STATX_TYPE = 1;
/** u16. */
const STX_MODE = 28;
const S_IFMT = 0o170000;
const S_IFREG = 0o100000;
/** Behind struct statx. */
const EMPTY = 256;
/** Longer ones are worth a worker thread. */
const MOST = 262144;

/** statfs.f_type of file systems that have no disk behind them (include/uapi/linux/magic.h), and of others by name. */
const inMemory: ReadonlyMap<number, string> = new Map([
  [0x01021994, 'tmpfs'],
  [0x858458f6, 'ramfs'],
  [0x958458f6, 'hugetlbfs'],
]);
const names: ReadonlyMap<number, string> = new Map([
  [0xef53, 'ext4'],
  [0x58465342, 'xfs'],
  [0x9123683e, 'btrfs'],
  [0x794c7630, 'overlay'],
  [0x6969, 'nfs'],
  [0x9fa0, 'proc'],
  [0x62656572, 'sysfs'],
]);

class FileSystem {
  readonly name: string;
  readonly inMemory: boolean;
  /** It can be asked not to wait, as far as is known. */
  canDecline = true;
  readonly counts = { read: { plain: 0, ring: 0 }, write: { plain: 0, ring: 0 } };

  constructor(type: number) {
    const memory = inMemory.get(type);
    this.name = memory ?? names.get(type) ?? `type 0x${type.toString(16)}`;
    this.inMemory = memory !== undefined;
  }
}

export class LinuxPlainCalls implements PlainCalls {
  readonly #systems = new Map<number, FileSystem>();
  /** Of descriptors that were used. One that is closed elsewhere and given to another file keeps its choice: the result is right, its cost may not be. */
  readonly #ofDescriptors = new Map<number, FileSystem>();
  /** struct statfs; struct iovec; struct statx and a path. In words of 32 bits: no BigInt for a read. */
  readonly #scratch = new Uint32Array(EMPTY / 4 + 1);
  readonly #address = addressOf(this.#scratch);

  read(fd: number, address: number, length: number, offset: number): number | undefined {
    const system = this.#of(fd);
    if (system === undefined || length > MOST) return undefined;
    const result = system.inMemory
      ? syscall('pread64', fd, address, length, offset)
      : this.#readNow(system, fd, address, length, offset);
    const whole = result === undefined || result === length || result <= 0 || system.inMemory;
    // A part may be all that is in memory: the ring reads the rest. What is no file, as the descriptor of one has become something else, has given it away.
    const plain = result !== undefined && (whole || !this.#isFile(fd));
    if (plain) system.counts.read.plain++;
    else system.counts.read.ring++;
    return plain ? result : undefined;
  }

  write(fd: number, address: number, length: number, offset: number): number | undefined {
    const system = this.#of(fd);
    if (system === undefined || length > MOST) return undefined;
    system.counts.write[system.inMemory ? 'plain' : 'ring']++;
    return system.inMemory ? syscall('pwrite64', fd, address, length, offset) : undefined;
  }

  forget(fd: number): void {
    this.#ofDescriptors.delete(fd);
  }

  get choices(): readonly PlainChoice[] {
    return [...this.#systems.values()].flatMap(({ name, counts }) =>
      (['read', 'write'] as const)
        .map((operation) => ({ fileSystem: name, operation, ...counts[operation] }))
        .filter(({ plain, ring }) => plain + ring > 0),
    );
  }

  #readNow(system: FileSystem, fd: number, address: number, length: number, offset: number): number | undefined {
    if (!system.canDecline) return undefined;
    this.#scratch[0] = address >>> 0;
    this.#scratch[1] = Math.floor(address / 2 ** 32);
    this.#scratch[2] = length;
    this.#scratch[3] = 0;
    const result = readVector(fd, this.#address, offset, RWF_NOWAIT);
    if (result === -EOPNOTSUPP) system.canDecline = false;
    return result === -EOPNOTSUPP || result === -EAGAIN ? undefined : result;
  }

  #isFile(fd: number): boolean {
    // An empty path.
    this.#scratch[EMPTY / 4] = 0;
    const result = syscall('statx', fd, this.#address + EMPTY, AT_EMPTY_PATH, STATX_TYPE, this.#address);
    return result === 0 && (this.#scratch[STX_MODE / 4]! & 0xffff & S_IFMT) === S_IFREG;
  }

  /** Undefined: no file of a file system that could be told. */
  #of(fd: number): FileSystem | undefined {
    const known = this.#ofDescriptors.get(fd);
    if (known !== undefined) return known;
    if (syscall('fstatfs', fd, this.#address) !== 0) return undefined;
    const type = this.#scratch[0]!;
    let system = this.#systems.get(type);
    if (system === undefined) {
      system = new FileSystem(type);
      this.#systems.set(type, system);
    }
    this.#ofDescriptors.set(fd, system);
    return system;
  }
}
