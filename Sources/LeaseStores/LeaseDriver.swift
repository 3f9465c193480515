package import Leases
package import LinuxSystem
package import Vocabulary

/// Runs a ``LeaseKeeper`` on a loop: carries its questions to the store and the answers back, and keeps its time.
///
/// Belongs to the loop's thread.
package final class LeaseDriver {
  private var keeper: LeaseKeeper
  private let loop: EventLoop
  private let store: StoreThread
  private let act: (LeaseAction) -> Void
  private var timer: BootTimer?
  private var names: Set<LeaseName> = []
  /// What came while an action was under way.
  private var waiting: [LeaseEvent] = []
  private var isHandling = false
  private var isEnded = false
  /// Of the last question that could not be asked.
  package private(set) var lastError: StoreError?
  /// Each time the store says who else has a lease.
  package var heard: (LeaseName, Holder) -> Void = { _, _ in }
  /// Each time something was done, before the next wait.
  package var rests: () -> Void = {}

  /// `act` gets every action but ``LeaseAction/ask(_:_:)``, in order; it may tell the driver more.
  package init(
    on loop: EventLoop, store: StoreThread, timing: LeaseTiming, seed: UInt64, resuming grants: [Grant] = [],
    act: @escaping (LeaseAction) -> Void
  ) throws(SystemError) {
    self.loop = loop
    self.store = store
    self.act = act
    // Lives of one owner follow each other, and none asks a million times a second.
    let before = ExchangeID(UInt64(max(0, BootInstant.now().nanoseconds / 1_000)))
    keeper = LeaseKeeper(timing: timing, seed: seed, lastExchange: before, resuming: grants)
    names = Set(grants.map(\.lease))
    do throws(SystemError) {
      timer = try BootTimer(on: loop) { [unowned self] in handle(.tick) }
    } catch {
      store.close()
      throw error
    }
    listen()
  }

  package var tenures: [Grant] { keeper.tenures }
  package var waits: [Wait] { keeper.waits }

  /// See ``LeaseKeeper/resume(_:)``.
  package func resume(_ wait: Wait) {
    keeper.resume(wait)
    handle(.tick)
  }

  package func handle(_ event: LeaseEvent) {
    guard !isEnded else { return }
    if case .wanted(let name) = event { names.insert(name) }
    waiting.append(event)
    guard !isHandling else { return }
    isHandling = true
    while !waiting.isEmpty {
      for action in keeper.handle(waiting.removeFirst(), at: .now()) { carryOut(action) }
    }
    isHandling = false
    timer?.set(isEnded ? nil : keeper.nextDeadline)
    rests()
  }

  /// Other bounds of the same time to live, and, where given, another way to open the same store, which is asked at once.
  package func adopt(_ timing: LeaseTiming, opening: StoreThread.Opening?) {
    keeper.adopt(timing)
    if let opening { store.reopen(opening) }
    if opening == nil { handle(.tick) }
    for name in names.sorted() where opening != nil { handle(.notified(name)) }
  }

  /// Nothing is asked or told any more.
  package func end() {
    isEnded = true
    timer?.cancel()
    timer = nil
    store.close()
  }

  private func carryOut(_ action: LeaseAction) {
    guard !isEnded else { return }
    guard case .ask(let exchange, let request) = action else { return act(action) }
    let reply: Reply<Result<StoreAnswer, StoreError>> = loop.reply { [weak self] result in
      switch result {
      case .success(let answer):
        if case .acquire(let name, _) = request, case .heldBy(let holder) = answer { self?.heard(name, holder) }
        self?.handle(.answered(exchange, answer))
      case .failure(let error):
        self?.lastError = error
        self?.handle(.failed(exchange, "\(error)"))
      }
    }
    store.ask(exchange, request, until: .now() + keeper.timing.retry, reply: reply)
  }

  private func listen() {
    store.listen(
      loop.reply { [weak self] (news: [LeaseName]?) in
        guard let self, !isEnded else { return }
        listen()
        for name in news ?? names.sorted() where names.contains(name) { handle(.notified(name)) }
      })
  }
}
