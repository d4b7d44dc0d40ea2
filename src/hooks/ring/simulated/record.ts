/**
 * A recorded run of a ring: what was asked of the kernel, in order, and what it answered, with the bytes that it wrote. Made by RecordingBackend over
 * any ring, served again by a simulated one (`replay`).
 */
import { InputError } from '../../../errors.ts';

export interface RecordedCompletion {
  readonly res: number;
  /** IORING_CQE_F_ flags. */
  readonly flags: number;
  /** Place among all completions of the run, from 0. */
  readonly order: number;
  /** ns since the recording began. */
  readonly at: number;
  /** What the kernel wrote where the request said: bytes read or received, a struct statx, the two descriptors of a pipe. */
  readonly data?: Uint8Array;
}

export interface RecordedRequest {
  readonly opcode: number;
  /** IOSQE_ flags. */
  readonly flags: number;
  readonly ioprio: number;
  readonly fd: number;
  /** 0 where the word is an address. */
  readonly offset: number;
  readonly length: number;
  readonly opFlags: number;
  /** Completions that had been there when it was submitted: what the program may have known. */
  readonly seen: number;
  readonly at: number;
  /** One; several of multishot requests and zero-copy sends; none where the run ended first, or CQE_SKIP_SUCCESS hid it. */
  readonly completions: readonly RecordedCompletion[];
}

/** A call of io_uring_register(2). */
export interface RecordedRegistration {
  readonly opcode: number;
  readonly result: number;
}

export interface RingRecord {
  readonly requests: readonly RecordedRequest[];
  readonly registrations: readonly RecordedRegistration[];
}

const SCHEMA = 'sluice.ring-record/1';

/** One JSON document; bytes in hexadecimal. */
export function recordToJson(record: RingRecord): string {
  const requests = record.requests.map((request) => ({
    ...request,
    completions: request.completions.map(({ data, ...rest }) =>
      data === undefined ? rest : { ...rest, data: hex(data) },
    ),
  }));
  return JSON.stringify({ schema: SCHEMA, requests, registrations: record.registrations });
}

/** Throws InputError (SLUICE_RING_RECORD) for what is no record. */
export function recordFromJson(text: string): RingRecord {
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch {
    throw new InputError('SLUICE_RING_RECORD', 'a recorded ring is a JSON document; this is none');
  }
  const { schema, requests, registrations } = (parsed ?? {}) as Record<string, unknown>;
  if (schema !== SCHEMA || !Array.isArray(requests) || !Array.isArray(registrations))
    throw new InputError('SLUICE_RING_RECORD', `a recorded ring has the schema ${SCHEMA}, not ${String(schema)}`);
  return {
    requests: requests.map(requestFromJson),
    registrations: registrations.map((each) => ({ opcode: number(each, 'opcode'), result: number(each, 'result') })),
  };
}

function requestFromJson(value: unknown): RecordedRequest {
  const completions: unknown = (value as { completions?: unknown } | null)?.completions;
  if (!Array.isArray(completions))
    throw new InputError('SLUICE_RING_RECORD', 'a recorded request has a list of completions');
  return {
    opcode: number(value, 'opcode'),
    flags: number(value, 'flags'),
    ioprio: number(value, 'ioprio'),
    fd: number(value, 'fd'),
    offset: number(value, 'offset'),
    length: number(value, 'length'),
    opFlags: number(value, 'opFlags'),
    seen: number(value, 'seen'),
    at: number(value, 'at'),
    completions: completions.map((each: unknown) => {
      const data: unknown = (each as { data?: unknown } | null)?.data;
      return {
        res: number(each, 'res'),
        flags: number(each, 'flags'),
        order: number(each, 'order'),
        at: number(each, 'at'),
        ...(data === undefined ? {} : { data: bytes(data) }),
      };
    }),
  };
}

function number(value: unknown, field: string): number {
  const found = (value as Record<string, unknown> | null)?.[field];
  if (typeof found !== 'number')
    throw new InputError('SLUICE_RING_RECORD', `${field} of a recorded request is a number`);
  return found;
}

function bytes(value: unknown): Uint8Array {
  if (typeof value !== 'string' || !/^([0-9a-f]{2})*$/.test(value))
    throw new InputError('SLUICE_RING_RECORD', 'data of a recorded completion is hexadecimal');
  return Uint8Array.from({ length: value.length / 2 }, (_, index) =>
    Number.parseInt(value.slice(index * 2, index * 2 + 2), 16),
  );
}

function hex(data: Uint8Array): string {
  return Array.from(data, (byte) => byte.toString(16).padStart(2, '0')).join('');
}
