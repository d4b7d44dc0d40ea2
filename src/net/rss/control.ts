/**
 * The control virtqueue's commands about hashing and steering: what a driver sent, applied to what the device has. VIRTIO_NET_CTRL_MQ (4), HASH_TUNNEL (7)
 * and VIRTNET_RSS_CTX_CTRL (9). A refused command changes nothing.
 */
import { InputError } from '../../errors.ts';
import {
  decodeHashConfig,
  decodeRssConfig,
  defaultRssLimits,
  encodeRssConfig,
  type HashConfiguration,
  type RssConfiguration,
  type RssLimits,
} from './configuration.ts';

export const CTRL_MQ = 4;
export const MQ_VQ_PAIRS_SET = 0;
export const MQ_RSS_CONFIG = 1;
export const MQ_HASH_CONFIG = 2;
export const CTRL_HASH_TUNNEL = 7;
export const HASH_TUNNEL_SET = 0;
export const RSS_CTX_CTRL = 9;
export const RSS_CTX_CAP_GET = 0;
export const RSS_CTX_ADD = 1;
export const RSS_CTX_MOD = 2;
export const RSS_CTX_DEL = 3;

/** `ack` of a command. */
export const VIRTIO_NET_OK = 0;
export const VIRTIO_NET_ERR = 1;

export type SteeringMode =
  /** As it is after a reset, or after VQ_PAIRS_SET: by `pairs`; hashes are reported where there is a `hash`. */
  | { readonly kind: 'automatic'; readonly pairs: number; readonly hash: HashConfiguration | undefined }
  | { readonly kind: 'rss'; readonly configuration: RssConfiguration; readonly maxTxQueues: number };

export interface ControlResult {
  readonly ack: typeof VIRTIO_NET_OK | typeof VIRTIO_NET_ERR;
  /** Of RSS_CTX_CAP_GET. */
  readonly result?: Uint8Array;
  /** Why it was refused, in words. */
  readonly reason?: string;
}

export interface ControlOptions {
  readonly limits?: RssLimits;
  /** Receive queues that there are: `max_virtqueue_pairs`. Default 1. */
  readonly maxPairs?: number;
  /** `max_rss_contexts`; default 31. */
  readonly maxContexts?: number;
}

const initialMode: SteeringMode = { kind: 'automatic', pairs: 1, hash: undefined };

export class RssControl {
  readonly limits: RssLimits;
  readonly maxPairs: number;
  readonly maxContexts: number;
  #mode: SteeringMode = initialMode;
  #tunnelTypes = 0;
  readonly #contexts = new Map<number, RssConfiguration>();

  constructor(options: ControlOptions = {}) {
    this.limits = options.limits ?? defaultRssLimits;
    this.maxPairs = options.maxPairs ?? 1;
    this.maxContexts = options.maxContexts ?? 31;
  }

  get mode(): SteeringMode {
    return this.#mode;
  }

  get tunnelTypes(): number {
    return this.#tunnelTypes;
  }

  /** RSS contexts by number, from 1. */
  get contexts(): ReadonlyMap<number, RssConfiguration> {
    return this.#contexts;
  }

  /** All hash types off, one pair, no tunnels, no contexts. */
  reset(): void {
    this.#mode = initialMode;
    this.#tunnelTypes = 0;
    this.#contexts.clear();
  }

  /**
   * What the device steers by, with the tunnel types. Automatic steering gives a flow back to the queue that it is sent on, spreads others over the pairs, and gives
   * what is no IP to the first queue: the specification asks for the former, and leaves the latter to the device.
   */
  effective(): RssConfiguration {
    const { mode } = this;
    if (mode.kind === 'rss') return { ...mode.configuration, tunnelTypes: this.#tunnelTypes };
    return automaticConfiguration(mode.pairs, mode.hash, this.#tunnelTypes);
  }

  /** One command: `data` is its command-specific part. Never throws for what a driver may send. */
  command(commandClass: number, command: number, data: Uint8Array): ControlResult {
    try {
      const result = this.#apply(commandClass, command, data);
      return result === undefined ? { ack: VIRTIO_NET_OK } : { ack: VIRTIO_NET_OK, result };
    } catch (error) {
      if (error instanceof InputError) return { ack: VIRTIO_NET_ERR, reason: error.message };
      throw error;
    }
  }

  #apply(commandClass: number, command: number, data: Uint8Array): Uint8Array | undefined {
    switch ((commandClass << 8) | command) {
      case (CTRL_MQ << 8) | MQ_VQ_PAIRS_SET: {
        const pairs = u16(data, 0);
        if (pairs < 1 || pairs > this.maxPairs) refuse(`${pairs} pairs of queues: there are 1 to ${this.maxPairs}`);
        if (this.#contexts.size > 0) refuse('the number of pairs cannot be set while there are RSS contexts');
        this.#mode = { kind: 'automatic', pairs, hash: this.#mode.kind === 'automatic' ? this.#mode.hash : undefined };
        return undefined;
      }
      case (CTRL_MQ << 8) | MQ_RSS_CONFIG: {
        const { configuration, maxTxQueues } = decodeRssConfig(data, this.limits);
        this.#checkQueues(configuration);
        this.#mode = { kind: 'rss', configuration, maxTxQueues };
        return undefined;
      }
      case (CTRL_MQ << 8) | MQ_HASH_CONFIG: {
        const hash = decodeHashConfig(data, this.limits);
        this.#mode = { kind: 'automatic', pairs: this.#mode.kind === 'automatic' ? this.#mode.pairs : 1, hash };
        return undefined;
      }
      case (CTRL_HASH_TUNNEL << 8) | HASH_TUNNEL_SET: {
        const types = decodeTunnelTypes(data);
        const unknown = (types & ~this.limits.tunnelTypes) >>> 0;
        if (unknown !== 0) refuse(`tunnel types 0x${unknown.toString(16)} are not supported`);
        this.#tunnelTypes = types;
        return undefined;
      }
      case (RSS_CTX_CTRL << 8) | RSS_CTX_CAP_GET:
        return Uint8Array.of(this.maxContexts & 0xff, this.maxContexts >> 8);
      case (RSS_CTX_CTRL << 8) | RSS_CTX_ADD:
      case (RSS_CTX_CTRL << 8) | RSS_CTX_MOD: {
        const { id, configuration } = decodeRssContext(data, this.limits);
        if (id < 1 || id > this.maxContexts) refuse(`RSS context ${id}: there are 1 to ${this.maxContexts}`);
        if (this.#contexts.has(id) === (command === RSS_CTX_ADD))
          refuse(command === RSS_CTX_ADD ? `RSS context ${id} is there already` : `there is no RSS context ${id}`);
        this.#checkQueues(configuration);
        this.#contexts.set(id, configuration);
        return undefined;
      }
      case (RSS_CTX_CTRL << 8) | RSS_CTX_DEL: {
        const id = u16(data, 0);
        if (!this.#contexts.delete(id)) refuse(`there is no RSS context ${id}`);
        return undefined;
      }
      default:
        refuse(`class ${commandClass} has no command ${command} here`);
    }
  }

  #checkQueues({ table, unclassifiedQueue }: RssConfiguration): void {
    const missing = [...table, unclassifiedQueue].find((queue) => queue >= this.maxPairs);
    if (missing !== undefined) refuse(`queue ${missing}: there are ${this.maxPairs}`);
  }
}

const AUTOMATIC_ENTRIES = 128;

/** By flow over the first `pairs` queues; what is no IP to the first. */
export function automaticConfiguration(
  pairs: number,
  hash: HashConfiguration | undefined,
  tunnelTypes = hash?.tunnelTypes ?? 0,
): RssConfiguration {
  return {
    hashTypes: hash?.hashTypes ?? 0,
    tunnelTypes,
    key: hash?.key ?? new Uint8Array(),
    table: Array.from({ length: AUTOMATIC_ENTRIES }, (_, index) => index % pairs),
    unclassifiedQueue: 0,
    automatic: true,
  };
}

/** struct virtnet_hash_tunnel. */
export function encodeTunnelTypes(types: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setUint32(0, types, true);
  return bytes;
}

export function decodeTunnelTypes(bytes: Uint8Array): number {
  if (bytes.length < 4) refuse(`struct virtnet_hash_tunnel of ${bytes.length} bytes is cut`);
  return new DataView(bytes.buffer, bytes.byteOffset).getUint32(0, true);
}

/** struct virtnet_rss_ctx_add_modify. */
export function encodeRssContext(
  id: number,
  configuration: RssConfiguration,
  maxTxQueues = 1,
): Uint8Array<ArrayBuffer> {
  const rss = encodeRssConfig(configuration, maxTxQueues);
  const bytes = new Uint8Array(8 + rss.length);
  new DataView(bytes.buffer).setUint16(0, id, true);
  bytes.set(rss, 8);
  return bytes;
}

export function decodeRssContext(
  bytes: Uint8Array,
  limits: RssLimits = defaultRssLimits,
): { readonly id: number; readonly configuration: RssConfiguration } {
  const id = u16(bytes, 0);
  return { id, configuration: decodeRssConfig(bytes.subarray(8), limits).configuration };
}

function u16(bytes: Uint8Array, at: number): number {
  if (bytes.length < at + 2) refuse(`a command of ${bytes.length} bytes is cut`);
  return new DataView(bytes.buffer, bytes.byteOffset).getUint16(at, true);
}

function refuse(text: string): never {
  throw new InputError('SLUICE_RSS_COMMAND', text);
}
