;; What the hostile components are made of: one that imports much of what it may, keeps its contract and does no harm.
;;
;; A case replaces fields of it by its own. A field stands between blank lines, and is known by its kind and its name;
;; what a case adds comes at the end of the module `$guest`.

(component

(import "holster:plugin/auth@0.1.0" (instance $auth
  (export "credential" (type $credential (sub resource)))
  (type $error' (variant (case "not-declared" string) (case "unavailable" string) (case "unsupported" string)))
  (export "auth-error" (type $error (eq $error')))
  (export "get" (func (param "provider" string) (result (result (own $credential) (error $error)))))
  (export "[method]credential.token" (func (param "self" (borrow $credential)) (result string)))))

(import "holster:plugin/session@0.1.0" (instance $session
  (type $level' (enum "debug" "info" "notice" "warning" "error" "critical" "alert" "emergency"))
  (export "level" (type $level (eq $level')))
  (type $answer' (variant (case "accept" string) (case "decline") (case "cancel")))
  (export "answer" (type $answer (eq $answer')))
  (type $error' (variant
    (case "unsupported" string) (case "invalid" string) (case "too-many" string) (case "unanswered" string)))
  (export "ask-error" (type $error (eq $error')))
  (export "log" (func (param "level" $level) (param "message" string)))
  (export "progress" (func (param "done" f64) (param "total" (option f64)) (param "message" (option string))))
  (export "ask" (func (param "message" string) (param "schema" string) (result (result $answer (error $error)))))))

(import "wasi:io/poll@0.2.12" (instance $poll
  (export "pollable" (type $pollable (sub resource)))
  (export "poll" (func (param "in" (list (borrow $pollable))) (result (list u32))))))
(alias export $poll "pollable" (type $pollable))

(import "wasi:clocks/monotonic-clock@0.2.12" (instance $clock
  (alias outer 1 $pollable (type $pollable'))
  (export "pollable" (type $pollable (eq $pollable')))
  (export "subscribe-duration" (func (param "when" u64) (result (own $pollable))))))

(import "wasi:random/random@0.2.12" (instance $random
  (export "get-random-bytes" (func (param "len" u64) (result (list u8))))))

(import "wasi:http/types@0.2.12" (instance $http
  (export "fields" (type $fields (sub resource)))
  (export "[constructor]fields" (func (result (own $fields))))))
(alias export $http "fields" (type $fields))

(import "wasi:io/error@0.2.12" (instance $io_error (export "error" (type (sub resource)))))
(alias export $io_error "error" (type $io_error))

(import "wasi:io/streams@0.2.12" (instance $streams
  (export "output-stream" (type $stream (sub resource)))
  (alias outer 1 $io_error (type $io_error'))
  (export "error" (type $io_error (eq $io_error')))
  (type $error' (variant (case "last-operation-failed" (own $io_error)) (case "closed")))
  (export "stream-error" (type $error (eq $error')))
  (export "[method]output-stream.blocking-write-and-flush"
    (func (param "self" (borrow $stream)) (param "contents" (list u8)) (result (result (error $error)))))))
(alias export $streams "output-stream" (type $stream))

(import "wasi:cli/stdout@0.2.12" (instance $stdout
  (alias outer 1 $stream (type $stream'))
  (export "output-stream" (type $stream (eq $stream')))
  (export "get-stdout" (func (result (own $stream))))))

(import "wasi:cli/exit@0.2.12" (instance $exit (export "exit" (func (param "status" (result))))))

(import "wasi:cli/environment@0.2.12" (instance $environment
  (export "get-environment" (func (result (list (tuple string string)))))))

(import "wasi:filesystem/types@0.2.12" (instance $files (export "descriptor" (type (sub resource)))))
(alias export $files "descriptor" (type $descriptor))

(import "wasi:filesystem/preopens@0.2.12" (instance $preopens
  (alias outer 1 $descriptor (type $descriptor'))
  (export "descriptor" (type $descriptor (eq $descriptor')))
  (export "get-directories" (func (result (list (tuple (own $descriptor) string)))))))

(import "wasi:sockets/network@0.2.12" (instance $network
  (export "network" (type (sub resource)))
  (type $code (enum
    "unknown" "access-denied" "not-supported" "invalid-argument" "out-of-memory" "timeout" "concurrency-conflict"
    "not-in-progress" "would-block" "invalid-state" "new-socket-limit" "address-not-bindable" "address-in-use"
    "remote-unreachable" "connection-refused" "connection-reset" "connection-aborted" "datagram-too-large"
    "name-unresolvable" "temporary-resolver-failure" "permanent-resolver-failure"))
  (export "error-code" (type (eq $code)))))
(alias export $network "network" (type $network))
(alias export $network "error-code" (type $code))

(import "wasi:sockets/instance-network@0.2.12" (instance $instance_network
  (alias outer 1 $network (type $network'))
  (export "network" (type $network (eq $network')))
  (export "instance-network" (func (result (own $network))))))

(import "wasi:sockets/ip-name-lookup@0.2.12" (instance $lookup
  (alias outer 1 $network (type $network'))
  (export "network" (type $network (eq $network')))
  (alias outer 1 $code (type $code'))
  (export "error-code" (type $code (eq $code')))
  (export "resolve-address-stream" (type $addresses (sub resource)))
  (export "resolve-addresses"
    (func (param "network" (borrow $network)) (param "name" string)
      (result (result (own $addresses) (error $code)))))))

;; The memory, and what the host calls to find room in it. A module of its own, since the imports need both.
(core module $memory_of_guest

(memory $memory (export "memory") 64)

(global $room (export "room") (mut i32) (i32.const 0x20000))

(func $realloc (export "realloc") (param $old i32) (param $size i32) (param $align i32) (param $new i32) (result i32)
  (local $at i32)
  (local.set $at
    (i32.and
      (i32.add (global.get $room) (i32.sub (local.get $align) (i32.const 1)))
      (i32.sub (i32.const 0) (local.get $align))))
  (global.set $room (i32.add (local.get $at) (local.get $new)))
  (local.get $at))

)

(core instance $memory_of_guest (instantiate $memory_of_guest))
(alias core export $memory_of_guest "memory" (core memory $memory))
(alias core export $memory_of_guest "realloc" (core func $realloc))

(core func $auth_get (canon lower (func $auth "get") (memory $memory) (realloc $realloc)))
(core func $token (canon lower (func $auth "[method]credential.token") (memory $memory) (realloc $realloc)))
(core func $log (canon lower (func $session "log") (memory $memory)))
(core func $progress (canon lower (func $session "progress") (memory $memory)))
(core func $ask (canon lower (func $session "ask") (memory $memory) (realloc $realloc)))
(core func $poll (canon lower (func $poll "poll") (memory $memory) (realloc $realloc)))
(core func $drop_pollable (canon resource.drop $pollable))
(core func $subscribe (canon lower (func $clock "subscribe-duration")))
(core func $random (canon lower (func $random "get-random-bytes") (memory $memory) (realloc $realloc)))
(core func $new_fields (canon lower (func $http "[constructor]fields")))
(core func $drop_fields (canon resource.drop $fields))
(core func $stdout (canon lower (func $stdout "get-stdout")))
(core func $write
  (canon lower (func $streams "[method]output-stream.blocking-write-and-flush") (memory $memory) (realloc $realloc)))
(core func $exit (canon lower (func $exit "exit")))
(core func $environment (canon lower (func $environment "get-environment") (memory $memory) (realloc $realloc)))
(core func $folders (canon lower (func $preopens "get-directories") (memory $memory) (realloc $realloc)))
(core func $network (canon lower (func $instance_network "instance-network")))
(core func $resolve (canon lower (func $lookup "resolve-addresses") (memory $memory) (realloc $realloc)))

(core module $guest

(type $lists (func (result i32)))
(type $calls (func (param i32 i32 i32 i32 i32 i32 i32 i32 i64) (result i32)))
(type $clears (func (param i32)))

(import "memory" "memory" (memory $memory 0))
(import "memory" "realloc" (func $allocate (param i32 i32 i32 i32) (result i32)))
(import "memory" "room" (global $room (mut i32)))
(import "host" "auth-get" (func $auth_get (param $provider i32) (param $length i32) (param $into i32)))
(import "host" "token" (func $token (param $credential i32) (param $into i32)))
(import "host" "log" (func $log (param $level i32) (param $text i32) (param $length i32)))
(import "host" "progress"
  (func $progress (param $done f64) (param i32) (param $total f64) (param i32) (param $text i32) (param $length i32)))
(import "host" "ask"
  (func $ask (param $text i32) (param $length i32) (param $schema i32) (param $length' i32) (param $into i32)))
(import "host" "poll" (func $poll (param $pollables i32) (param $count i32) (param $into i32)))
(import "host" "drop-pollable" (func $drop_pollable (param $pollable i32)))
(import "host" "subscribe" (func $subscribe (param $nanoseconds i64) (result i32)))
(import "host" "random" (func $random (param $count i64) (param $into i32)))
(import "host" "new-fields" (func $new_fields (result i32)))
(import "host" "drop-fields" (func $drop_fields (param $fields i32)))
(import "host" "stdout" (func $stdout (result i32)))
(import "host" "write" (func $write (param $stream i32) (param $bytes i32) (param $length i32) (param $into i32)))
(import "host" "exit" (func $exit (param $status i32)))
(import "host" "environment" (func $environment (param $into i32)))
(import "host" "folders" (func $folders (param $into i32)))
(import "host" "network" (func $network (result i32)))
(import "host" "resolve" (func $resolve (param $network i32) (param $name i32) (param $length i32) (param $into i32)))

;; The answer of `list-tools`.
(global $tools i32 (i32.const 0x100000))

;; The answer of `call`: that all went well, and a list of one text.
(global $answer i32 (i32.const 0x1000))
(data $answer (i32.const 0x1000)
  "\00\00\00\00" "\10\10\00\00" "\01\00\00\00" "\00\00\00\00"
  "\00\00\00\00" "\40\10\00\00" "\04\00\00\00")

(data $text (i32.const 0x1040) "done")

;; Where a case lets the host write.
(global $into i32 (i32.const 0x2000))

(func $list_tools (type $lists) (global.get $tools))

(func $call (type $calls) (global.get $answer))

(func $tools_were_read (type $clears))

(func $answer_was_read (type $clears))

(func $make_room (param i32 i32 i32 i32) (result i32)
  (call $allocate (local.get 0) (local.get 1) (local.get 2) (local.get 3)))

(export "list-tools" (func $list_tools))
(export "call" (func $call))
(export "tools-were-read" (func $tools_were_read))
(export "answer-was-read" (func $answer_was_read))
(export "make-room" (func $make_room))

;; The case's own

)

(core instance $guest (instantiate $guest
  (with "memory" (instance $memory_of_guest))
  (with "host" (instance
    (export "auth-get" (func $auth_get))
    (export "token" (func $token))
    (export "log" (func $log))
    (export "progress" (func $progress))
    (export "ask" (func $ask))
    (export "poll" (func $poll))
    (export "drop-pollable" (func $drop_pollable))
    (export "subscribe" (func $subscribe))
    (export "random" (func $random))
    (export "new-fields" (func $new_fields))
    (export "drop-fields" (func $drop_fields))
    (export "stdout" (func $stdout))
    (export "write" (func $write))
    (export "exit" (func $exit))
    (export "environment" (func $environment))
    (export "folders" (func $folders))
    (export "network" (func $network))
    (export "resolve" (func $resolve))))))

(alias core export $guest "make-room" (core func $make_room))

(type $requirement (record (field "provider" string) (field "scopes" (list string))))
(type $behaviour (record
  (field "read-only" (option bool))
  (field "destructive" (option bool))
  (field "idempotent" (option bool))
  (field "open-world" (option bool))))
(type $definition (record
  (field "name" string)
  (field "title" (option string))
  (field "description" string)
  (field "input-schema" string)
  (field "output-schema" (option string))
  (field "requirements" (list $requirement))
  (field "behaviour" $behaviour)))
(type $context (record (field "thread" string) (field "profile" string) (field "deadline" u64)))
(type $media (record (field "data" (list u8)) (field "mime-type" string)))
(type $link (record
  (field "uri" string)
  (field "name" string)
  (field "description" (option string))
  (field "mime-type" (option string))))
(type $contents (variant (case "text" string) (case "blob" (list u8))))
(type $resource (record (field "uri" string) (field "mime-type" (option string)) (field "contents" $contents)))
(type $content (variant
  (case "text" string)
  (case "structured" string)
  (case "image" $media)
  (case "audio" $media)
  (case "resource-link" $link)
  (case "embedded-resource" $resource)))
(type $output (record (field "content" (list $content))))
(type $error (variant
  (case "invalid-arguments" string)
  (case "unauthorised" string)
  (case "rate-limited" (option u32))
  (case "unavailable" string)
  (case "failed" string)))

(func $tool_lists (result (list $definition))
  (canon lift (core func $guest "list-tools")
    (memory $memory) (realloc $make_room) (post-return (func $guest "tools-were-read"))))

(func $tool_calls (param "name" string) (param "arguments" string) (param "context" $context)
    (result (result $output (error $error)))
  (canon lift (core func $guest "call")
    (memory $memory) (realloc $make_room) (post-return (func $guest "answer-was-read"))))

(instance $tool
  (export "requirement" (type $requirement))
  (export "behaviour" (type $behaviour))
  (export "tool-definition" (type $definition))
  (export "call-context" (type $context))
  (export "media" (type $media))
  (export "resource-link" (type $link))
  (export "resource-contents" (type $contents))
  (export "embedded-resource" (type $resource))
  (export "content" (type $content))
  (export "tool-output" (type $output))
  (export "tool-error" (type $error))
  (export "list-tools" (func $tool_lists))
  (export "call" (func $tool_calls)))
(export "holster:plugin/tool@0.1.0" (instance $tool))

)
