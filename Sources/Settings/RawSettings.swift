/// A settings file as it is written: every value with its place, nothing decided. Made by ``RawSettings/init(_:_:)``,
/// read by `SettingsResolver`.
struct RawSettings {
  typealias Text = Located<String>
  typealias Number = Located<Int64>
  typealias Command = Located<[Text]>
  typealias Environment = [(name: Text, value: Text)]

  var service: Service?
  var sockets: [Socket] = []
  var engines: [Engine] = []
  var handover: Handover?
  var shutdown: Shutdown?
  var leases: Leases?
  var redis: Store?
  var database: Store?
  var deploy: Deploy?
  var health: Health?
  var bake: Bake?
  var migrate: Migrate?
  var backup: Backup?

  struct Service {
    var position: Position
    var description: Text?
    var user: Text?
    var group: Text?
    var directory: Text?
    var environment: Environment = []
    var environmentFiles: [Text] = []
  }

  struct Socket {
    var name: Text
    var listen: Text?
    var backlog: Number?
    var nonblocking: Located<Bool>?
    var mode: Text?
    var owner: Text?
    var group: Text?
  }

  struct Engine {
    var name: Text
    var command: Command?
    var workers: Number?
    var sockets: [Text] = []
    var after: [Text] = []
    var environment: Environment = []
    var prove: Prove?
    var ready: Readiness?
    var startTimeout: Text?
    var stopTimeout: Text?
    var watchdog: Watchdog?
    var restart: Restart?
    var handover: Text?
    var drain: Drain?
    var stage: Text?
    var user: Text?
    var group: Text?
    var umask: Text?
    var limits: [(key: KnownKey, value: Limit)] = []
    var memoryMax: Text?
    var cpuMax: Text?
    var pidsMax: Number?
    var memoryLimit: Text?
    var maxAge: Text?
    var maxRequests: Number?
    var lease: Text?
    var standby: Text?
  }

  struct Prove {
    var position: Position
    var socket: Text?
    var path: Text?
    var host: Text?
    var passes: Number?
    var status: Number?
    var body: Text?
    var timeout: Text?
  }

  enum Readiness {
    case word(Text)
    case table(Position, http: Text?, tcp: Text?, exec: Command?, after: Text?)
  }

  enum Watchdog {
    case duration(Text)
    case table(Position, http: Text?, interval: Text?, timeout: Text?, failures: Number?)
  }

  struct Restart {
    var delay: Text?
    var maxDelay: Text?
    var giveUpAfter: Number?
    var healthyAfter: Text?
  }

  struct Drain {
    var pending: Command?
    var save: Command?
  }

  enum Limit {
    case number(Number)
    case text(Text)
  }

  struct Handover {
    var strategy: Text?
    var trial: Trial?
    var steering: Text?
    var maxDraining: Number?
    var maxDrainTime: Text?
    var upgradeOnReload: Located<Bool>?
  }

  struct Trial {
    var position: Position
    var share: Text?
    var steps: Command?
    var batch: Number?
    var duration: Text?
    var check: Check?
    var checkTimeout: Text?

    enum Check {
      case command(Command)
      case url(Text)
    }
  }

  struct Shutdown {
    var timeout: Text?
    var intake: Text?
    var engines: Text?
    var database: Stage?
    var redis: Stage?
  }

  struct Stage {
    var timeout: Text?
    var run: [Command] = []
  }

  struct Leases {
    var timeToLive: Text?
    var margin: Text?
    var poll: Text?
  }

  /// `[redis]`, `[database]`
  struct Store {
    var position: Position
    var url: Text?
    var urlFile: Text?
  }
}
