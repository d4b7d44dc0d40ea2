/**
 * The virtual world that a simulated ring works on: files that a crash can take back, pipes, connections, descriptors, and a clock. It can outlive a
 * ring, and several rings can share it.
 */
import { InputError } from '../../../../errors.ts';
import { type Random, random } from '../../../../net/random.ts';
import { Clock } from '../clock.ts';
import { EMFILE, resultText } from '../errno.ts';
import { type Faults, type Latency, mixedLatency, noFaults, type Range } from '../faults.ts';
import type { Request, Waitable } from '../request.ts';
import { Content, type ContentSource } from './content.ts';
import { type File, FileSystem, type Inode, type Place } from './file-system.ts';
import { Network } from './network.ts';
import { type MessageTarget, OpenFile, type Terminal } from './open-file.ts';
import { openPath } from './opening.ts';
import { Peer, type PeerScript } from './peer.ts';
import { Pipe } from './pipe.ts';
import type { Socket } from './socket.ts';

export type { ContentSource } from './content.ts';
export { Peer, type PeerFunctions, type PeerScript, type PeerStep } from './peer.ts';

export interface WorldOptions {
  /** Only fsync of a directory keeps its names over a crash; default: fsync of any file keeps all earlier changes of names. */
  readonly strict?: boolean;
  /** Bytes that sockets hold; default 64 KiB. */
  readonly socketBuffer?: number;
  /** Descriptors that can be open; default 1024. */
  readonly descriptors?: number;
}

/** A ring that works on the world. */
export interface WorldRing extends MessageTarget {
  /** The machine stops: what was begun may have happened. */
  crash(): void;
}

const FIRST_DESCRIPTOR = 3;
const AF_INET = 2;
const NETWORK: Range = { min: 5_000, max: 50_000 };

export class World {
  readonly clock = new Clock();
  readonly files: FileSystem;
  readonly network: Network;
  /** The rings' seeds; before there is a ring, that of 0. */
  random: Random = random(0);
  faults: Faults = noFaults;
  readonly #descriptors: (OpenFile | undefined)[] = [];
  readonly #descriptorLimit: number;
  readonly #output: Terminal = { written: [] };
  readonly #ringFiles = new Map<number, OpenFile>();
  readonly #futexes = new Map<number, Waitable>();
  #rings: WorldRing[] = [];
  #ringCount = 0;

  constructor(options: WorldOptions = {}) {
    this.files = new FileSystem(options.strict ?? false);
    this.#descriptorLimit = options.descriptors ?? 1024;
    const wake = (waitable: Waitable) => this.wake(waitable);
    this.network = new Network(this.clock, wake, this.random, noFaults, NETWORK, options.socketBuffer ?? 65536);
    this.#standard();
  }

  /** A ring begins to work here; its seed, faults and latencies count from now on. Its descriptor: one above all that programs can get. */
  attach(ring: WorldRing, source: Random, faults: Faults, latency: Latency): number {
    this.#rings.push(ring);
    const fd = this.#descriptorLimit + this.#ringCount++;
    const file = new OpenFile({ kind: 'ring', ring }, true, true);
    file.users = 1;
    this.#ringFiles.set(fd, file);
    this.random = source;
    this.faults = faults;
    this.network.random = source;
    this.network.faults = faults;
    this.network.latency = latency.network ?? mixedLatency.network ?? NETWORK;
    if (faults.spaceBytes !== undefined) this.files.space.chunks = Math.floor(faults.spaceBytes / 4096);
    return fd;
  }

  detach(ring: WorldRing): void {
    for (const [fd, { is }] of this.#ringFiles) if (is.kind === 'ring' && is.ring === ring) this.#ringFiles.delete(fd);
    this.#rings = this.#rings.filter((each) => each !== ring);
  }

  // What tests put there and look at.

  /** A file, with the directories that lead to it; the content is as safe as if it had been there for years. */
  file(
    path: string,
    content: Uint8Array | string | { readonly size: number; readonly source: ContentSource } = '',
  ): void {
    const bytes = typeof content === 'string' ? new TextEncoder().encode(content) : content;
    const { directory, name } = this.#makePlace(path);
    const file = this.files.newFile(0o644, this.clock.now, new Content(this.files.space, bytes));
    this.files.link(directory, name, file, this.clock.now);
    this.files.sync(directory);
  }

  directory(path: string): void {
    this.#makePlace(`${path}/.`);
  }

  symbolicLink(path: string, target: string): void {
    const { directory, name } = this.#makePlace(path);
    this.files.link(directory, name, this.files.newLink(target, this.clock.now), this.clock.now);
    this.files.sync(directory);
  }

  /** All bytes of a file. Throws InputError where there is none. */
  read(path: string): Uint8Array {
    const { content } = this.#fileAt(path);
    const bytes = new Uint8Array(content.size);
    content.read(0, bytes, 0, bytes.length);
    return bytes;
  }

  exists(path: string): boolean {
    const place = this.files.lookup(this.files.root, path, true);
    return typeof place !== 'number' && place.inode !== undefined;
  }

  /** Names in a directory, sorted. */
  list(path: string): string[] {
    const place = this.files.lookup(this.files.root, path, true);
    const inode = typeof place === 'number' ? undefined : place.inode;
    if (inode?.type !== 'directory')
      throw new InputError('SLUICE_RING_WORLD', `there is no directory ${path} in the simulated world`);
    return [...inode.entries.keys()].sort();
  }

  /** Everything of the file would survive a crash. */
  isSynced(path: string): boolean {
    return this.#fileAt(path).content.synced;
  }

  /** Makes a file shorter or longer, as another process might. */
  truncate(path: string, size: number): void {
    this.#fileAt(path).content.truncate(size);
  }

  /** A client that connects to `port` once a program listens there. */
  connect(port: number, script: PeerScript = []): Peer {
    const socket = this.network.socket(AF_INET);
    const peer = new Peer(socket, this.network, this.clock, script);
    this.network.connect(socket, `inet:${port}`, true);
    return peer;
  }

  /** A server that programs can connect to; the list grows with each connection. */
  serve(port: number, script: PeerScript | ((index: number) => PeerScript) = []): readonly Peer[] {
    const peers: Peer[] = [];
    this.network.serve(`inet:${port}`, (end) => {
      const chosen = typeof script === 'function' ? script(peers.length) : script;
      peers.push(new Peer(end, this.network, this.clock, chosen));
    });
    return peers;
  }

  /** A descriptor of a socket that is connected with a peer. */
  connected(script: PeerScript = []): { readonly fd: number; readonly peer: Peer } {
    const [near, far] = [this.network.socket(AF_INET), this.network.socket(AF_INET)];
    this.network.join(near, far);
    return { fd: this.#mustInstall(socketFile(near)), peer: new Peer(far, this.network, this.clock, script) };
  }

  /** Descriptors of two sockets that are connected with each other. */
  socketPair(): readonly [number, number] {
    const [near, far] = [this.network.socket(AF_INET), this.network.socket(AF_INET)];
    this.network.join(near, far);
    return [this.#mustInstall(socketFile(near)), this.#mustInstall(socketFile(far))];
  }

  /** Descriptor of a socket that listens on `port`. */
  listen(port: number, backlog = 128): number {
    const socket = this.network.socket(AF_INET);
    const result = this.network.bind(socket, `inet:${port}`) || this.network.listen(socket, backlog);
    if (result < 0)
      throw new InputError('SLUICE_RING_WORLD', `port ${port} of the simulated world: ${resultText(result)}`);
    return this.#mustInstall(socketFile(socket));
  }

  /** Descriptors of a pipe's ends: to read, to write. */
  pipe(capacity?: number): readonly [number, number] {
    const pipe = new Pipe(capacity);
    return [this.#mustInstall(this.pipeEnd(pipe, false)), this.#mustInstall(this.pipeEnd(pipe, true))];
  }

  /** Descriptor of a file, opened with O_ flags (abi/io-uring/call-flags.ts); created first where there is none and they say so. */
  open(path: string, flags = 0): number {
    const result = this.openPath(this.files.root, path, flags, 0o644);
    if (typeof result === 'number') throw new InputError('SLUICE_RING_WORLD', `open ${path}: ${resultText(result)}`);
    return this.#mustInstall(result);
  }

  /** What has been written to descriptors 1 and 2. */
  get output(): Uint8Array {
    const bytes = new Uint8Array(this.#output.written.reduce((sum, part) => sum + part.length, 0));
    let at = 0;
    for (const part of this.#output.written) {
      bytes.set(part, at);
      at += part.length;
    }
    return bytes;
  }

  /** Descriptors that programs have open, 0 to 2 not among them. */
  get openDescriptors(): number[] {
    return [...this.#descriptors.keys()].filter((fd) => fd >= FIRST_DESCRIPTOR && this.#descriptors[fd] !== undefined);
  }

  /**
   * The machine stops and starts again: of what was not synced a part is lost, by the ring's seed. No descriptor, connection or ring of before works
   * any more.
   */
  crash(): void {
    for (const ring of this.#rings) ring.crash();
    this.#rings = [];
    this.#ringFiles.clear();
    this.#futexes.clear();
    this.clock.clear();
    this.network.clear();
    this.#descriptors.length = 0;
    this.#standard();
    this.files.crash(this.random);
  }

  // What a ring uses.

  wake(waitable: Waitable): void {
    const { waiting } = waitable;
    if (waiting.length === 0) return;
    for (const request of waiting.splice(0)) this.#retry(request);
  }

  /** The lowest free descriptor, or -EMFILE. */
  install(file: OpenFile): number {
    const descriptors = this.#descriptors;
    let fd = FIRST_DESCRIPTOR;
    while (descriptors[fd] !== undefined) fd++;
    if (fd >= this.#descriptorLimit) return -EMFILE;
    file.users++;
    descriptors[fd] = file;
    return fd;
  }

  descriptor(fd: number): OpenFile | undefined {
    return fd < 0 ? undefined : (this.#descriptors[fd] ?? this.#ringFiles.get(fd));
  }

  /** Frees a descriptor; false: there was none. */
  closeDescriptor(fd: number): boolean {
    const file = this.descriptor(fd);
    if (file === undefined) return false;
    this.#descriptors[fd] = undefined;
    this.release(file);
    return true;
  }

  /** One user less; the last one ends it. */
  release(file: OpenFile): void {
    if (--file.users > 0) return;
    const { is } = file;
    if (is.kind === 'socket') this.network.close(is.socket);
    else if (is.kind === 'pipe') {
      if (file.writable) is.pipe.writers--;
      else is.pipe.readers--;
      this.wake(is.pipe);
    } else if (is.kind === 'file') {
      is.inode.opens--;
      this.files.collect();
    }
  }

  /** Who waits at a word of memory. */
  futex(address: number): Waitable {
    let waitable = this.#futexes.get(address);
    if (waitable === undefined) {
      waitable = { waiting: [] };
      this.#futexes.set(address, waitable);
    }
    return waitable;
  }

  pipeEnd(pipe: Pipe, writes: boolean, flags = 0): OpenFile {
    if (writes) pipe.writers++;
    else pipe.readers++;
    return new OpenFile({ kind: 'pipe', pipe }, !writes, writes, flags);
  }

  /** What open(2) does, without a descriptor. */
  openPath(start: Inode, path: string, flags: number, mode: number): OpenFile | number {
    return openPath(this.files, start, path, flags, mode, this.clock.now);
  }

  #retry(request: Request): void {
    request.waits = undefined;
    this.clock.soon(() => request.owner.retry(request));
  }

  #standard(): void {
    const terminal: OpenFile = new OpenFile({ kind: 'terminal', terminal: this.#output }, true, true);
    for (let fd = 0; fd < FIRST_DESCRIPTOR; fd++) {
      terminal.users++;
      this.#descriptors[fd] = terminal;
    }
  }

  #mustInstall(file: OpenFile): number {
    const fd = this.install(file);
    if (fd < 0)
      throw new InputError('SLUICE_RING_WORLD', 'the simulated world has no descriptor left: raise `descriptors`');
    return fd;
  }

  #fileAt(path: string): File {
    const place = this.files.lookup(this.files.root, path, true);
    const inode = typeof place === 'number' ? undefined : place.inode;
    if (inode?.type !== 'file')
      throw new InputError('SLUICE_RING_WORLD', `there is no file ${path} in the simulated world`);
    return inode;
  }

  /** Makes the directories of a path. */
  #makePlace(path: string): Omit<Place, 'inode'> {
    const parts = path.split('/').filter((part) => part !== '');
    let directory = this.files.root;
    for (const part of parts.slice(0, -1)) {
      const there = directory.entries.get(part);
      if (there !== undefined && there.type !== 'directory')
        throw new InputError('SLUICE_RING_WORLD', `${path}: ${part} is there already, and no directory`);
      const next = there ?? this.files.newDirectory(0o755, this.clock.now);
      if (there === undefined) this.files.link(directory, part, next, this.clock.now);
      directory = next;
    }
    return { directory, name: parts.at(-1) ?? '.' };
  }
}

function socketFile(socket: Socket): OpenFile {
  return new OpenFile({ kind: 'socket', socket }, true, true);
}
