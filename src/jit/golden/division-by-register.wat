(module
  (type (;0;) (func (param i64) (result i64)))
  (type (;1;) (func (param i64 i64 i64 i64 i64) (result i64)))
  (type (;2;) (func (param i64 i64) (result i64)))
  (import "env" "memory" (memory (;0;) 64 65536 shared))
  (import "env" "table" (table (;0;) 0 funcref))
  (import "env" "worker" (global (;0;) i32))
  (import "env" "table_base" (global (;1;) i32))
  (func $division-by-register (type 2) (param i64 i64) (result i64)
    (local i64 i32)
    (local.set 2
      (local.get 0))
    (local.set 3
      (i32.wrap_i64
        (local.get 1)))
    (local.set 2
      (if (result i64)  ;; label = @1
        (i64.eqz
          (local.get 1))
        (then
          (i64.const 0))
        (else
          (i64.div_u
            (local.get 2)
            (local.get 1)))))
    (local.set 3
      (if (result i32)  ;; label = @1
        (i32.gt_u
          (i32.add
            (i32.wrap_i64
              (local.get 0))
            (i32.const 1))
          (i32.const 1))
        (then
          (i32.div_s
            (local.get 3)
            (i32.wrap_i64
              (local.get 0))))
        (else
          (i32.mul
            (local.get 3)
            (i32.wrap_i64
              (local.get 0))))))
    (local.set 2
      (i64.xor
        (local.get 2)
        (i64.extend_i32_u
          (local.get 3))))
    (return
      (local.get 2))
    (unreachable))
  (export "division-by-register" (func 0))
  (export "division-by-register:tail" (func 0))
  (elem (;0;) (global.get 1) func 0 0))
