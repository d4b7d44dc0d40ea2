/**
 * The two families of errors, and the third that says what is missing.
 *
 * InputError: what was handed in is bad, and the caller can mend it. InternalError: Sluice is at fault.
 * UnsupportedError: what was asked for is known and not there. A verifier's verdict is data, never an error.
 */

/** Where in an input a fault lies. */
export interface InputLocation {
  /** File name or other name of the input as the user knows it. */
  readonly input?: string;
  /** ELF section, assembler line, JSON path: whatever names the place for a reader. */
  readonly section?: string;
  /** Byte offset inside `section` if given, else inside the input. */
  readonly offset?: number;
}

/** Root of all. Catch it by its families; `linux/` adds SyscallError for what the kernel refused. */
export abstract class SluiceError extends Error {
  /** Stable identifier, `SLUICE_…`; the message may change between versions, the code does not. */
  readonly code: string;

  constructor(code: string, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
    this.name = new.target.name;
  }
}

/** Bad input: a malformed object, an unknown option value, a key of the wrong size. Exit code 3. */
export class InputError extends SluiceError {
  readonly location: InputLocation;

  constructor(code: string, message: string, location: InputLocation = {}, options?: ErrorOptions) {
    const place = [
      location.input,
      location.section,
      location.offset === undefined ? undefined : `offset 0x${location.offset.toString(16)}`,
    ].filter((part) => part !== undefined);
    super(code, place.length > 0 ? `${place.join(', ')}: ${message}` : message, options);
    this.location = location;
  }
}

/** Sluice broke its own rules. Exit code 70. */
export class InternalError extends SluiceError {
  constructor(message: string, options?: ErrorOptions) {
    super('SLUICE_INTERNAL', message, options);
  }
}

/** A feature that Linux has, or that was asked for, and that is not there. Exit code 4; listed in docs/parity.md. */
export class UnsupportedError extends SluiceError {
  /** Name of the feature, as docs/parity.md lists it: `helper bpf_redirect_neigh`, `map type sockmap`. */
  readonly feature: string;
  /** Linux version, Sluice version or capability that would have it, where that is known. */
  readonly since: string | undefined;

  constructor(feature: string, message: string, since?: string, options?: ErrorOptions) {
    super('SLUICE_UNSUPPORTED', message, options);
    this.feature = feature;
    this.since = since;
  }
}
