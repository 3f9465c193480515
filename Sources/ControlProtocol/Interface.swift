/// The interfaces of the control socket and their descriptions.
///
/// The texts are the `.varlink` files beside this file, word for word, so that batond needs no file at run time;
/// a test compares them.
package enum Interface {
  package static let service = "io.baton.Service"
  package static let varlink = "org.varlink.service"
  package static let names = [varlink, service]

  /// With a newline at the end, as the file has.
  package static func description(of name: String) -> String? {
    switch name {
    case service: serviceDescription
    case varlink: varlinkDescription
    default: nil
    }
  }

  private static let serviceDescription = """
    # A service that batond keeps answering. Ms and Usec in a name are units; baton-protocol(7) explains.
    interface io.baton.Service

    type Supervisor (
      pid: int,
      version: string,
      uptimeMs: int,
      # Resident memory in bytes.
      rss: int,
      # Whether generations get listeners of their own.
      steering: bool
    )

    type Worker (
      label: string,
      pid: ?int,
      generation: int,
      state: (starting, ready, draining, waiting, failed, exited),
      sinceUsec: int,
      restarts: int,
      # In bytes.
      memory: ?int,
      # What the worker says of itself.
      status: ?string,
      lastExit: ?string
    )

    type Engine (
      name: string,
      state: (starting, ready, degraded, failed, stopping, stopped, standby),
      wanted: int,
      ready: int,
      sockets: []string,
      handover: (overlap, exclusive),
      stage: (engines, database, redis),
      workers: []Worker,
      # What they run, from the serving generation's settings.
      command: ?[]string
    )

    type Lease (
      name: string,
      state: (held, waiting, ending),
      sinceUsec: int,
      engines: []string,
      # Whether a worker of them is ready here.
      works: bool,
      # Of this host's grant, and for how long that is proven.
      token: ?int,
      remainingMs: ?int,
      # Another who has it, as far as it is known here.
      holder: ?string,
      holderToken: ?int,
      # How long until the store lets that expire, unless it is renewed, when it said so last, and whether the holder
      # renewed when that was due.
      holderRemainingMs: ?int,
      holderSeenUsec: ?int,
      holderAlive: ?bool,
      # How long a lease lasts that nobody renews.
      ttlMs: ?int,
      # Where it lies, and why that could not be asked just now.
      store: string,
      storeError: ?string
    )

    type Listener (
      generation: ?int,
      # Connections waiting to be accepted.
      queue: int,
      # Whether new connections are sent here.
      steered: bool
    )

    type Socket (
      name: string,
      address: string,
      listeners: []Listener
    )

    type Handover (
      operation: string,
      phase: (starting, proving, holding, trial, draining, aborting),
      from: ?int,
      to: int,
      # Of the new generation, once its settings are read.
      release: ?string,
      sinceUsec: int
    )

    type LastHandover (
      operation: string,
      outcome: (done, accepted, failed, needsPerson, settingsWrong),
      reason: string,
      from: ?int,
      to: int,
      tookMs: int,
      endedUsec: int
    )

    # A generation that finishes what it took; what is left of it at untilUsec is killed. connections are those that its
    # workers hold, as far as the kernel says it.
    type Drain (
      generation: int,
      release: string,
      sinceUsec: int,
      untilUsec: int,
      workers: int,
      connections: ?int
    )

    # How a long act ended. exitCode is what baton would exit with.
    type Verdict (
      operation: string,
      act: (start, reload, restart, stop, scale, upgrade),
      outcome: (done, accepted, failed, needsPerson, settingsWrong),
      exitCode: int,
      what: string,
      holds: string,
      next: ?string,
      lastLines: []string,
      tookMs: int,
      generation: ?int,
      release: ?string
    )

    # A candidate that is proved and waits for Commit, for so long from now; no client meets it.
    type Held (
      generation: int,
      release: string,
      forMs: int
    )

    type Progress (
      operation: string,
      text: string,
      held: ?Held
    )

    type Event (
      timeUsec: int,
      kind: string,
      service: string,
      text: string,
      engine: ?string,
      worker: ?string,
      generation: ?int,
      release: ?string,
      operation: ?string,
      from: ?string,
      to: ?string,
      reason: ?string,
      pid: ?int
    )

    type Variable (
      name: string,
      value: ?string
    )

    # The whole state. Anyone may ask.
    method Status() -> (
      service: string,
      description: string,
      state: (starting, serving, degraded, handover, stopping, failed),
      text: string,
      sinceUsec: int,
      supervisor: Supervisor,
      serving: ?int,
      release: ?string,
      engines: []Engine,
      sockets: []Socket,
      handover: ?Handover,
      lastHandover: ?LastHandover,
      draining: []int,
      drains: ?[]Drain,
      connectionsCut: ?int,
      # Processes that were killed with connections that could not be counted.
      cutsUncounted: ?int,
      liveReleases: ?[]string,
      # Leases that engines need.
      leases: ?[]Lease,
      warnings: []string
    )

    # What happened, oldest first. follow needs more, and goes on until the caller hangs up.
    method Events(limit: ?int, follow: ?bool) -> (events: []Event)

    # The environment of an engine's workers: names for anyone, values with reveal and for root alone.
    method Environment(engine: string, reveal: ?bool) -> (variables: []Variable)

    # Replaces the serving generation by a new one and answers when that is decided; with more, tells its progress.
    # release names another release than the current one. With holdMs, which needs more, the new generation waits for Commit
    # once it is proved; it is given up when the caller hangs up, or after that time.
    method Reload(wait: ?bool, release: ?string, holdMs: ?int) -> (progress: ?Progress, verdict: ?Verdict)

    # The held generation of that reload may meet clients. The verdict comes where the reload was asked for.
    method Commit(operation: string) -> ()

    # The held generation of that reload is not wanted; one on trial neither.
    method Abort(operation: string) -> ()

    # A way to ask the held generation through the address that clients use: host and port, for a socket that comes with the
    # reply and is not connected yet (descriptor is its place among those passed), or the path of a Unix socket.
    method Probe(operation: string, socket: string) -> (host: ?string, port: ?int, path: ?string, descriptor: ?int)

    # Stops everything in order and starts it again. Interrupts.
    method Restart(wait: ?bool) -> (progress: ?Progress, verdict: ?Verdict)

    # Changes how many workers an engine has, until the settings are read again.
    method Scale(engine: string, workers: int, wait: ?bool) -> (progress: ?Progress, verdict: ?Verdict)

    # Sends a signal, such as HUP, to the main process of each worker of an engine that the serving generation has, or of one.
    method Signal(engine: string, signal: string, worker: ?string) -> (workers: []string)

    # Puts the program that lies where this one was started from in its place: same pid, workers and sockets. Waits for what
    # is under way, and answers from the new program.
    method Upgrade(wait: ?bool) -> (progress: ?Progress, verdict: ?Verdict)

    # Stops everything in order, then the supervisor itself; with now, without waiting for work that was taken.
    method Stop(now: ?bool, wait: ?bool) -> (progress: ?Progress, verdict: ?Verdict)

    # The caller may not do this; allowed says who may.
    error NotAllowed (method: string, allowed: string)

    # Another act is under way, or too many callers are connected.
    error Busy (holder: string, sinceUsec: ?int)

    error UnknownEngine (engine: string)

    error UnknownSocket (socket: string)

    # No generation of that reload waits for Commit: not yet, or no more.
    error NotHeld (operation: string)

    # The held generation cannot be told from the serving one there.
    error CannotProbe (socket: string, reason: string)

    # The act ended otherwise than asked: what failed, what holds now, what to do next.
    error Failed (
      operation: string,
      act: (start, reload, restart, stop, scale, upgrade),
      outcome: (done, accepted, failed, needsPerson, settingsWrong),
      exitCode: int,
      what: string,
      holds: string,
      next: ?string,
      lastLines: []string,
      tookMs: int,
      generation: ?int,
      release: ?string
    )

    """

  private static let varlinkDescription = """
    # The Varlink Service Interface is provided by every varlink service. It
    # describes the service and the interfaces it implements.
    interface org.varlink.service

    # Get a list of all the interfaces a service provides and information
    # about the implementation.
    method GetInfo() -> (
      vendor: string,
      product: string,
      version: string,
      url: string,
      interfaces: []string
    )

    # Get the description of an interface that is implemented by this service.
    method GetInterfaceDescription(interface: string) -> (description: string)

    # The requested interface was not found.
    error InterfaceNotFound (interface: string)

    # The requested method was not found
    error MethodNotFound (method: string)

    # The interface defines the requested method, but the service does not
    # implement it.
    error MethodNotImplemented (method: string)

    # One of the passed parameters is invalid.
    error InvalidParameter (parameter: string)

    # Client is denied access
    error PermissionDenied ()

    # Method is expected to be called with 'more' set to true, but wasn't
    error ExpectedMore ()

    """
}
