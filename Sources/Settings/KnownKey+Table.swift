internal import Vocabulary

extension KnownKey {
  /// One row of the table: what a key takes, what holds without it, and what it is for.
  package struct Entry: Hashable, Sendable {
    package let form: Form
    package let fallback: Fallback
    package let summary: String

    init(_ form: Form, _ fallback: Fallback, _ summary: String) {
      self.form = form
      self.fallback = fallback
      self.summary = summary
    }
  }

  private static let day = Duration.seconds(86_400)
  private static let upToDay = Duration.zero...day
  private static let someTime = Duration.milliseconds(1)...day
  private static let someSize = ByteCount(1 << 20)...ByteCount(1 << 50)

  // No default: a new key must be described, the compiler insists.
  package var entry: Entry {
    func limit(_ summary: String) -> Entry { Entry(.limit, .words("batond's own"), summary) }
    return switch self {
    case .serviceDescription: Entry(.text, .value("\"\""), "What the service is, in a few words.")
    case .serviceUser:
      Entry(.text, .words("batond's own; required when that is root"), "The user engines run as.")
    case .serviceGroup: Entry(.text, .words("the user's"), "The group engines run as.")
    case .serviceDirectory:
      Entry(.path, .required, "Holds current -> releases/ID; without current, engines run here.")
    case .serviceEnvironment: Entry(.environment, .value("{}"), "Environment of every engine.")
    case .serviceEnvironmentFiles:
      Entry(.texts, .value("[]"), "Files of NAME=VALUE lines, later ones win; relative to directory.")

    case .socketListen:
      Entry(.address, .required, "HOST:PORT, [V6]:PORT, *:PORT (v4 and v6) or a path; udp: in front for datagrams.")
    case .socketBacklog: Entry(.integer(1...65_535), .value("4096"), "Connections that wait to be accepted.")
    case .socketNonblocking:
      Entry(.boolean, .value("false"), "O_NONBLOCK, set once; programs that accept from several workers may need it.")
    case .socketMode: Entry(.octal, .value("\"0666\""), "Permissions of the path; paths only.")
    case .socketOwner: Entry(.text, .words("batond's own"), "Owner of the path; paths only.")
    case .socketGroup: Entry(.text, .words("batond's own"), "Group of the path; paths only.")

    case .engineCommand: Entry(.command, .required, "The program and its arguments, run in the release's directory.")
    case .engineWorkers: Entry(.integer(1...1_000), .value("1"), "How many processes run the command.")
    case .engineSockets:
      Entry(.names(of: "socket"), .value("[]"), "The sockets a worker gets, from descriptor 3 in this order.")
    case .engineAfter:
      Entry(.names(of: "engine"), .value("[]"), "Engines that are ready before this one starts, and stop after it.")
    case .engineEnvironment: Entry(.environment, .value("{}"), "Environment of this engine, over the service's.")
    case .engineProve:
      Entry(.table(.prove), .words("not asked"), "What a new generation is asked before any client meets it.")
    case .engineReady:
      Entry(.choiceOrTable(["notify"], .ready), .value("\"notify\""), "How a worker says that it can work.")
    case .engineStartTimeout: Entry(.duration(Self.someTime), .value("\"30s\""), "Until a worker must be ready.")
    case .engineStopTimeout: Entry(.duration(Self.upToDay), .value("\"20s\""), "From TERM until a worker is killed.")
    case .engineWatchdog:
      Entry(
        .durationOrTable(Self.someTime, .watchdog), .words("not watched"),
        "How often a worker sends WATCHDOG=1, or what it is asked.")
    case .engineRestart: Entry(.table(.restart), .words("its keys' defaults"), "When a worker that ended starts again.")
    case .engineHandover:
      Entry(
        .choice(Settings.HandoverKind.allCases.map(\.rawValue)), .value("\"overlap\""),
        "Whether two generations may run at once.")
    case .engineDrain: Entry(.table(.drain), .words("no commands"), "Commands that help a worker to finish.")
    case .engineStage:
      Entry(
        .choice(Settings.Stage.allCases.map(\.rawValue)), .value("\"engines\""),
        "The stage of the shutdown that stops it.")
    case .engineUser: Entry(.text, .words("the service's"), "The user this engine runs as.")
    case .engineGroup: Entry(.text, .words("the service's"), "The group this engine runs as.")
    case .engineUmask: Entry(.octal, .value("\"0022\""), "Permissions taken from files its workers create.")
    case .engineLimits: Entry(.table(.limits), .words("batond's own"), "Resource limits of each worker.")
    case .engineMemoryMax:
      Entry(
        .size(Self.someSize), .words("no bound"), "The most memory of a worker with all it started; then it is killed.")
    case .engineCPUMax:
      Entry(
        .percent(1...100_000), .words("no bound"), "The most processor time of a worker; \"200%\" is two processors.")
    case .enginePidsMax:
      Entry(.integer(1...4_194_304), .words("no bound"), "The most processes and threads of a worker.")
    case .engineMemoryLimit:
      Entry(.size(Self.someSize), .words("not looked at"), "A worker that takes as much is replaced by a fresh one.")
    case .engineMaxAge:
      Entry(.duration(.seconds(1)...(Self.day * 365)), .words("any"), "How long a worker works before it is replaced.")
    case .engineMaxRequests:
      Entry(
        .integer(1...1_000_000_000_000), .words("any"), "A worker that says requests=N, as many or more, is replaced.")

    case .engineLease:
      Entry(.text, .words("runs on every host"), "It runs only while this host has the lease of that name.")
    case .engineStandby:
      Entry(
        .choice(Settings.Standby.allCases.map(\.rawValue)), .value("\"cold\""),
        "Whether hosts without the lease start it all the same, to be told when it may work.")

    case .proveSocket: Entry(.text, .required, "The socket through which it is asked; one of the engine's, not UDP.")
    case .provePath: Entry(.text, .value("\"/\""), "The path asked for.")
    case .proveHost: Entry(.text, .value("\"localhost\""), "The Host header.")
    case .provePasses:
      Entry(.integer(1...10_000), .words("the engine's workers"), "Good answers in a row; at least the workers.")
    case .proveStatus: Entry(.integer(100...599), .value("200"), "The status a good answer has.")
    case .proveBody: Entry(.text, .words("any"), "What the body of a good answer contains.")
    case .proveTimeout: Entry(.duration(Self.someTime), .value("\"2s\""), "For one answer.")
    case .readyHTTP: Entry(.url, .words("not asked"), "Ready when this answers 2xx; {port} is the worker's own port.")
    case .readyTCP: Entry(.hostPort, .words("not asked"), "Ready when this accepts; {port} is the worker's own port.")
    case .readyExec: Entry(.command, .words("not run"), "Ready when this command exits 0.")
    case .readyAfter: Entry(.duration(Self.someTime), .words("no such wait"), "Ready when alive for so long.")
    case .watchdogHTTP: Entry(.url, .required, "Asked for 2xx; {port} is the worker's own port.")
    case .watchdogInterval: Entry(.duration(Self.someTime), .value("\"5s\""), "How often it is asked.")
    case .watchdogTimeout: Entry(.duration(Self.someTime), .value("\"2s\""), "For one answer.")
    case .watchdogFailures: Entry(.integer(1...1_000), .value("3"), "So many in a row, and the worker is replaced.")

    case .drainSave: Entry(.command, .words("not run"), "Run once before a worker that did not end is killed.")
    case .restartDelay:
      Entry(.duration(Self.upToDay), .value("\"100ms\""), "Before the second restart; the first is at once.")
    case .restartMaxDelay: Entry(.duration(Self.upToDay), .value("\"30s\""), "The delay doubles up to this.")
    case .restartGiveUpAfter:
      Entry(.integer(1...1_000_000), .value("10"), "Crashes without a healthy run between, and the worker is failed.")
    case .restartHealthyAfter:
      Entry(.duration(Self.upToDay), .value("\"30s\""), "A run so long after ready is healthy.")
    case .drainPending:
      Entry(.commandOrExec, .words("not asked"), "Exits 0 when the worker has nothing left to finish.")

    case .limitsAddressSpace: limit("Bytes of address space.")
    case .limitsCPU: limit("Seconds of processor time.")
    case .limitsCore: limit("Bytes of a core file.")
    case .limitsData: limit("Bytes of data segment.")
    case .limitsFileSize: limit("Bytes of a file written.")
    case .limitsFiles: limit("Open files.")
    case .limitsLocks: limit("File locks.")
    case .limitsMemlock: limit("Bytes locked in memory.")
    case .limitsMessageQueue: limit("Bytes in POSIX message queues.")
    case .limitsNice: limit("20 minus the lowest nice value.")
    case .limitsProcesses: limit("Processes of the user.")
    case .limitsRealtimePriority: limit("Realtime priority.")
    case .limitsRealtimeTime: limit("Microseconds of realtime scheduling without a blocking call.")
    case .limitsResident: limit("Bytes of resident memory; without effect on Linux.")
    case .limitsSignals: limit("Queued signals of the user.")
    case .limitsStack: limit("Bytes of stack.")

    case .handoverStrategy:
      Entry(
        .choice(Settings.Strategy.allCases.map(\.rawValue)), .value("\"all\""),
        "Whether all clients meet a proven generation at once, more of them from step to step, or worker by worker.")
    case .handoverTrial: Entry(.table(.trial), .words("no trial"), "Clients that meet a proven generation first.")
    case .handoverSteering:
      Entry(
        .choice(Settings.Steering.allCases.map(\.rawValue)), .value("\"auto\""),
        "Whether generations get listeners of their own.")
    case .handoverMaxDraining: Entry(.integer(1...64), .value("4"), "Old generations that may drain at once.")
    case .handoverMaxDrainTime:
      Entry(.duration(.seconds(1)...(Self.day * 365)), .value("\"1h\""), "The longest an old generation may drain.")
    case .handoverUpgradeOnReload:
      Entry(.boolean, .value("false"), "Whether a reload first puts another batond in place, where one lies there.")
    case .trialShare:
      Entry(
        .share, .words("required with strategy \"all\""), "The part of new connections that meets the new generation.")
    case .trialSteps:
      Entry(
        .shares, .words("\"1%\", \"5%\" and \"25%\" with strategy \"canary\""),
        "The parts of new connections that meet it, one after the other.")
    case .trialBatch:
      Entry(
        .integer(1...10_000), .words("1 with strategy \"rolling\""), "Workers of an engine that are replaced at once.")
    case .trialFor:
      Entry(
        .duration(Self.upToDay), .value("\"10s\""),
        "How long the trial, each of its steps, or the pause between two batches lasts.")
    case .trialCheck:
      Entry(.commandOrURL, .words("not asked"), "Asked every second of a trial; exit 0 or a status 2xx is good.")
    case .trialCheckTimeout: Entry(.duration(Self.someTime), .value("\"5s\""), "For one answer of the check.")

    case .shutdownTimeout: Entry(.duration(.seconds(1)...Self.day), .value("\"30s\""), "The whole shutdown.")
    case .shutdownIntake:
      Entry(.duration(Self.upToDay), .words("1/15 of timeout"), "At most, to stop taking work in.")
    case .shutdownEngines:
      Entry(.duration(Self.upToDay), .words("11/15 of timeout"), "At most, to stop engines of stage \"engines\".")
    case .shutdownDatabase:
      Entry(
        .durationOrTable(Self.upToDay, .stage), .words("1/10 of timeout"),
        "At most, to close databases: engines of stage \"database\", commands, batond's ledger.")
    case .shutdownRedis:
      Entry(
        .durationOrTable(Self.upToDay, .stage), .words("1/10 of timeout"),
        "At most, to close Redis: engines of stage \"redis\" and commands.")
    case .stageTimeout:
      Entry(.duration(Self.upToDay), .words("1/10 of shutdown.timeout"), "At most, for this stage.")
    case .stageRun: Entry(.commands, .value("[]"), "Commands run in order when the stage's engines are gone.")

    case .leasesTimeToLive:
      Entry(.duration(.seconds(1)...Self.day), .value("\"30s\""), "How soon another host may go on after a crash.")
    case .leasesMargin:
      Entry(
        .duration(.milliseconds(100)...Self.day), .words("a quarter of ttl, 30s at most"),
        "How long before the end of an unproven lease its engine gets TERM.")
    case .leasesPoll:
      Entry(
        .duration(.milliseconds(100)...Self.day), .value("\"5s\""),
        "How long a host that waits asks nothing, at most, if nobody wakes it.")
    case .redisURL: Entry(.redisURL, .words("url-file"), "The Redis that keeps the leases of several hosts.")
    case .redisURLFile: Entry(.path, .words("url"), "A file that holds the URL alone, for one with a password.")
    case .databaseURL:
      Entry(.postgresURL, .words("url-file"), "The PostgreSQL that keeps the leases of several hosts, without [redis].")
    case .databaseURLFile: Entry(.path, .words("url"), "A file that holds the URL alone, for one with a password.")

    case .deployRepository:
      Entry(.text, .words("none; releases come by --from"), "What git fetches from: a URL or a path.")
    case .deployRef: Entry(.text, .value("\"HEAD\""), "The branch, tag or commit that is deployed.")
    case .deployFetchTimeout:
      Entry(.duration(Self.someTime), .value("\"30m\""), "For each question to the repository, and each fetch.")
    case .deployUser:
      Entry(.text, .value("\"baton-deploy\""), "Deploys, builds and hooks run as this user, who owns the releases.")
    case .deployUnit:
      Entry(
        .text, .words("baton@NAME.service"),
        "The systemd unit that runs the service. One of your own has to name DIRECTORY/current.")
    case .deployActivate:
      Entry(
        .choice(Settings.Deploy.Activation.allCases.map(\.rawValue)), .value("\"reload\""),
        "How the unit comes to a new release.")
    case .deployBuild: Entry(.commands, .value("[]"), "Commands run in order in the new release, as the deploy user.")
    case .deployBuildTimeout: Entry(.duration(Self.someTime), .value("\"30m\""), "For all of them together.")
    case .deployBuildMemory: Entry(.size(Self.someSize), .words("the deploy unit's"), "Address space of each.")
    case .deployBuildEnvironment: Entry(.environment, .value("{}"), "Environment of builds and hooks.")
    case .deployArtifacts:
      Entry(.innerPaths, .value("[]"), "Files of the release that exist and are executable after the build.")
    case .deployShared:
      Entry(.innerPaths, .value("[]"), "Paths of the tree that outlive releases: links into directory/shared.")
    case .deployExclude: Entry(.innerPaths, .value("[]"), "Paths of the tree that are in no manifest and no backup.")
    case .deployTree:
      Entry(.path, .words("--tree names it"), "What the service ran from before there were releases: for baton adopt.")
    case .deployKeep: Entry(.integer(1...1_000), .value("5"), "Releases kept besides those that are protected.")
    case .deployKeepFor:
      Entry(
        .duration(.seconds(3_600)...Self.day * 3_650), .words("any age"), "Older releases and backups go as well.")
    case .deployKeepSize: Entry(.size(Self.someSize), .words("any size"), "What all releases and backups may take.")
    case .deployWindow: Entry(.windows, .value("[]"), "When a deploy may begin, local time; none means always.")
    case .deployRequireAncestor:
      Entry(.text, .words("any commit"), "The commit deployed must be reachable from this ref.")
    case .deployRequireSignature:
      Entry(
        .path, .words("not asked"), "The commit must be signed by one of this file (ssh-keygen(1), ALLOWED SIGNERS).")
    case .deploySecrets:
      Entry(.texts, .value("[]"), "Files of NAME=VALUE lines for builds, hooks and migrations; values are masked.")
    case .deployHooks: Entry(.hooks, .value("{}"), "Commands run before and after steps, and at a failure.")
    case .deployChecklist: Entry(.tables(.checklist), .words("nothing"), "What is checked or confirmed.")

    case .checklistWhen:
      Entry(
        .choice(Settings.Deploy.ChecklistItem.When.allCases.map(\.rawValue)), .value("\"before\""),
        "Before a deploy, or after its health check.")
    case .checklistText: Entry(.text, .required, "What is checked, for people.")
    case .checklistRun: Entry(.command, .words("a person confirms it"), "Exits 0 when it is so.")

    case .healthURL: Entry(.checkedURL, .words("the tables of check"), "What is asked, where one URL says it all.")
    case .healthCheck: Entry(.tables(.check), .words("url alone"), "What is asked; all must pass.")
    case .healthPasses: Entry(.integer(1...1_000), .value("3"), "So many rounds in a row must pass.")
    case .healthInterval: Entry(.duration(Self.someTime), .value("\"1s\""), "Between rounds; grows after failures.")
    case .healthMaxInterval: Entry(.duration(Self.someTime), .value("\"5s\""), "The most it grows to.")
    case .healthDeadline: Entry(.duration(Self.someTime), .value("\"1m\""), "By then it has passed, or it failed.")

    case .checkURL: Entry(.checkedURL, .required, "What is asked.")
    case .checkMethod: Entry(.text, .value("\"GET\""), "The method of the request.")
    case .checkHeaders: Entry(.environment, .value("{}"), "Headers of the request.")
    case .checkStatus: Entry(.statuses, .value("200"), "The status of a good answer.")
    case .checkContains: Entry(.text, .words("any"), "Text that the body of a good answer contains.")
    case .checkJSON: Entry(.table(.json), .words("not looked at"), "A value that the body of a good answer has.")
    case .checkConnectTimeout: Entry(.duration(Self.someTime), .value("\"2s\""), "For the connection.")
    case .checkTimeout: Entry(.duration(Self.someTime), .value("\"5s\""), "For the whole answer.")
    case .checkMaxLatency: Entry(.duration(Self.someTime), .words("timeout"), "A slower answer is a failure.")
    case .checkFollow: Entry(.integer(0...20), .value("0"), "So many redirects are followed.")
    case .checkCAFile: Entry(.path, .words("the system's"), "Certificates that are trusted, PEM.")

    case .jsonPath: Entry(.text, .required, "Names and indices with dots between them: checks.0.state.")
    case .jsonEquals: Entry(.scalar, .required, "What stands there.")

    case .bakeFor:
      Entry(.duration(Self.upToDay), .value("\"1m\""), "How long a new release is watched; 0s is not at all.")
    case .bakeInterval: Entry(.duration(.milliseconds(100)...Self.day), .value("\"5s\""), "Between two looks.")
    case .bakeMaxRestarts: Entry(.integer(0...1_000), .value("0"), "Restarts of the unit or of workers that are borne.")
    case .bakeMaxErrors:
      Entry(
        .integer(0...1_000_000), .value("10"), "Journal entries of priority error that are borne between two looks.")
    case .bakeMaxMemory: Entry(.size(Self.someSize), .words("any"), "The most memory of the unit.")
    case .bakeMaxCPU: Entry(.share, .words("any"), "The most processor time of the unit, of all processors.")
    case .bakeBreaches: Entry(.integer(1...1_000), .value("2"), "So many bad looks in a row are a breach.")

    case .migrateDirectory: Entry(.innerPath, .words("command"), "SQL files of the release, run in the order of names.")
    case .migrateCommand: Entry(.command, .words("directory"), "The program's own tool, run in the new release.")
    case .migrateDatabase: Entry(.databaseURL, .words("database-variable"), "The database of the SQL files.")
    case .migrateDatabaseVariable: Entry(.variable, .words("database"), "The variable of secrets that holds its URL.")
    case .migrateLockTimeout:
      Entry(.duration(Self.someTime), .value("\"5s\""), "How long a statement waits for a lock.")
    case .migrateStatementTimeout: Entry(.duration(Self.someTime), .value("\"5m\""), "For one statement.")
    case .migrateTimeout: Entry(.duration(Self.someTime), .value("\"30m\""), "For all migrations of a deploy.")

    case .backupKeep: Entry(.integer(1...1_000), .value("10"), "Backups kept besides those that are protected.")
    case .backupFormat:
      Entry(
        .choice(Settings.Deploy.Backup.Format.allCases.map(\.rawValue)), .value("\"zst\""),
        "How archives are compressed.")
    case .backupLevel: Entry(.integer(1...19), .words("3; 6 with gz"), "How much work goes into it; gz goes to 9.")
    case .backupShared: Entry(.innerPaths, .value("[]"), "Paths of directory/shared that belong into a backup.")
    }
  }
}
