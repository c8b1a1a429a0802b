;; llhttp's callbacks: they note where the fields of a head are, and nothing else. As WASM, since a call from WASM into
;; JavaScript costs more than all that is done here, and a head of ten fields makes more than twenty of them.
;;
;; Addresses are those of llhttp's memory, which is never read here. This module's own memory is the table that
;; binding.ts reads: six words, and from byte 64 on four words a field: offset and length of its name, then of its value.
(module
  (memory (export "memory") 1)

  ;; 0: fields found. 4: more than this are refused. 8: added to an address gives the offset in the head.
  ;; 12: the address after the input. 16: the status. 20: 1 when there were too many fields.

  (func (export "nothing") (param $parser i32) (result i32)
    (i32.const 0))

  (func (export "ignoreSpan") (param $parser i32) (param $at i32) (param $length i32) (result i32)
    (i32.const 0))

  (func (export "onName") (param $parser i32) (param $at i32) (param $length i32) (result i32)
    (local $offset i32) (local $fields i32) (local $next i32)
    (local.set $offset (i32.add (local.get $at) (i32.load (i32.const 8))))
    (local.set $fields (i32.load (i32.const 0)))
    (local.set $next (i32.add (i32.const 64) (i32.shl (local.get $fields) (i32.const 4))))
    ;; Names never touch each other (at least ":" CRLF lies between), so what touches is the rest of the same name.
    (if (i32.and
          (i32.ne (local.get $fields) (i32.const 0))
          (i32.eq
            (i32.add
              (i32.load (i32.sub (local.get $next) (i32.const 16)))
              (i32.load (i32.sub (local.get $next) (i32.const 12))))
            (local.get $offset)))
      (then
        (i32.store (i32.sub (local.get $next) (i32.const 12))
          (i32.add (i32.load (i32.sub (local.get $next) (i32.const 12))) (local.get $length))))
      (else
        (if (i32.ge_u (local.get $next) (i32.shl (memory.size) (i32.const 16)))
          (then (drop (memory.grow (memory.size)))))
        (i32.store (local.get $next) (local.get $offset))
        (i32.store offset=4 (local.get $next) (local.get $length))
        (i32.store offset=8 (local.get $next) (i32.const 0))
        (i32.store offset=12 (local.get $next) (i32.const 0))
        (local.set $fields (i32.add (local.get $fields) (i32.const 1)))
        (i32.store (i32.const 0) (local.get $fields))))
    ;; Looked at when the name is complete, not before: so the same bytes meet the limit at the same place however they
    ;; are split, and a byte that is wrong in the name itself is told first.
    (if (i32.and
          (i32.gt_u (local.get $fields) (i32.load (i32.const 4)))
          (i32.ne (i32.add (local.get $at) (local.get $length)) (i32.load (i32.const 12))))
      (then
        (i32.store (i32.const 20) (i32.const 1))
        (return (i32.const 24)))) ;; HPE_USER
    (i32.const 0))

  (func (export "onValue") (param $parser i32) (param $at i32) (param $length i32) (result i32)
    (local $field i32)
    (local.set $field (i32.add (i32.const 48) (i32.shl (i32.load (i32.const 0)) (i32.const 4))))
    (if (i32.eqz (i32.load offset=8 (local.get $field)))
      (then (i32.store offset=8 (local.get $field) (i32.add (local.get $at) (i32.load (i32.const 8))))))
    (i32.store offset=12 (local.get $field) (i32.add (i32.load offset=12 (local.get $field)) (local.get $length)))
    (i32.const 0))

  (func (export "onHead") (param $parser i32) (param $status i32) (param $upgrade i32) (param $keepAlive i32) (result i32)
    (i32.store (i32.const 16) (local.get $status))
    (i32.const 21))) ;; HPE_PAUSED
