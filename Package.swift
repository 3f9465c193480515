// swift-tools-version: 6.2
import PackageDescription

/// Every Swift target of this package is compiled alike: Swift 6 mode, warnings are errors.
let strict: [SwiftSetting] = [
  .treatAllWarnings(as: .error),
  .enableUpcomingFeature("ExistentialAny"),
  .enableUpcomingFeature("MemberImportVisibility"),
  .enableUpcomingFeature("InternalImportsByDefault"),
]

/// What searches every state, and what reads every record, optimised in debug builds as well, with its assertions: a third
/// of the time.
let hot: [SwiftSetting] =
  strict + [.unsafeFlags(["-O", "-assert-config", "Debug"], .when(configuration: .debug))]

/// The programs under Tests/Fixtures are C alone.
let strictC: [CSetting] = [
  .define("_GNU_SOURCE"), .enableWarning("all"), .enableWarning("extra"), .treatAllWarnings(as: .error),
]

func layer(
  _ name: String, _ dependencies: [Target.Dependency], exclude: [String] = [], settings: [SwiftSetting] = strict
) -> Target {
  .target(name: name, dependencies: dependencies, exclude: exclude, swiftSettings: settings)
}

func tests(
  of name: String, _ dependencies: [Target.Dependency] = [], name testName: String? = nil,
  settings: [SwiftSetting] = strict
) -> Target {
  .testTarget(
    name: testName ?? "\(name)Tests", dependencies: [.byName(name: name)] + dependencies, swiftSettings: settings)
}

let package = Package(
  name: "baton",
  products: [
    .executable(name: "batond", targets: ["batond"]),
    .executable(name: "baton", targets: ["baton"]),
    // systemd's protocols alone, for other Swift servers.
    .library(name: "Systemd", targets: ["Systemd"]),
  ],
  dependencies: [
    // The ecosystem's standard for command lines: help, completions, "did you mean". In `baton`, never in `batond`.
    .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.0")
  ],
  targets: [
    // Layer 0: words, and the kernel made safe.
    layer("Vocabulary", []),
    .target(name: "CLinux"),
    .target(name: "CToml", cxxSettings: [.define("TOML_EXCEPTIONS", to: "0")]),
    .systemLibrary(name: "CJansson", pkgConfig: "jansson", providers: [.apt(["libjansson-dev"])]),
    // Not linked to libsystemd: opened when the bus is first needed, which keeps 1 MB out of an idle batond.
    .target(name: "CSystemd", linkerSettings: [.linkedLibrary("dl")]),
    // Opened in the same way: only commands that ask over HTTP pay for libcurl and what it loads.
    .target(name: "CCurl", linkerSettings: [.linkedLibrary("dl")]),
    // libarchive reads every tar there is; backups are framed by zstd and zlib themselves.
    .target(
      name: "CArchive",
      linkerSettings: [.linkedLibrary("archive"), .linkedLibrary("zstd"), .linkedLibrary("z")]),
    // Not linked to libpq either: opened for migrations of a PostgreSQL database, and for locks in one.
    .target(name: "CPostgres", linkerSettings: [.linkedLibrary("dl")]),
    .systemLibrary(name: "CSQLite", pkgConfig: "sqlite3", providers: [.apt(["libsqlite3-dev"])]),
    // SHA-256 at the processor's own speed in 300 KB that libarchive loads anyway; OpenSSL brings 5 MB. See docs/decisions.
    .systemLibrary(name: "CNettle", pkgConfig: "nettle", providers: [.apt(["nettle-dev"])]),
    layer("LinuxSystem", ["Vocabulary", "CLinux"]),
    layer("JSON", ["Vocabulary", "CJansson"], settings: hot),

    // Layer 1: systemd's protocols.
    layer("Systemd", ["Vocabulary", "LinuxSystem", "CLinux", "CSystemd"]),

    // Layer 2: pure cores, decisions only; the standard library and Vocabulary, nothing else.
    layer("Supervision", ["Vocabulary"], settings: hot),
    layer("Deployment", ["Vocabulary"]),
    layer("Leases", ["Vocabulary"]),

    // Layer 3: effects, one owner per machine, no decisions.
    layer("Settings", ["Vocabulary", "LinuxSystem", "Leases", "CToml"]),
    layer("Ledger", ["Vocabulary", "LinuxSystem", "CLinux", "CSQLite"]),
    layer(
      "SupervisorRuntime",
      [
        "Vocabulary", "LinuxSystem", "CLinux", "JSON", "Systemd", "Supervision", "Settings", "Ledger", "Leases",
        "LeaseStores",
      ]),
    // A client of PostgreSQL, and how a database is named and waited for.
    layer("Databases", ["Vocabulary", "LinuxSystem", "Deployment", "CPostgres"]),
    layer("LeaseStores", ["Vocabulary", "LinuxSystem", "Leases", "Ledger", "Databases"]),
    // HTTP questions; in `baton`, never in `batond`.
    layer("Probing", ["Vocabulary", "LinuxSystem", "JSON", "CCurl"]),

    // Layer 4: the contract and its two ends.
    layer(
      "ControlProtocol", ["Vocabulary", "JSON"],
      exclude: ["io.baton.Service.varlink", "org.varlink.service.varlink"]),
    layer("ControlServer", ["Vocabulary", "LinuxSystem", "CLinux", "JSON", "ControlProtocol"]),
    layer("ControlClient", ["Vocabulary", "LinuxSystem", "CLinux", "JSON", "ControlProtocol"]),
    // A deploy asks the supervisor over that contract.
    layer(
      "DeploymentRuntime",
      [
        "Vocabulary", "LinuxSystem", "CLinux", "CArchive", "CNettle", "CSQLite", "Databases", "JSON", "Systemd",
        "Deployment", "Settings", "Ledger", "Probing", "ControlProtocol", "ControlClient",
      ]),

    // Layer 5: programs: parse, wire, run, exit code.
    .executableTarget(
      name: "batond",
      dependencies: [
        "Vocabulary", "LinuxSystem", "Systemd", "Supervision", "Settings", "Ledger", "SupervisorRuntime",
        "JSON", "Leases", "LeaseStores", "Databases", "Deployment", "ControlProtocol", "ControlServer",
      ], swiftSettings: strict),
    .executableTarget(
      name: "baton",
      dependencies: [
        "Vocabulary", "LinuxSystem", "CLinux", "JSON", "Systemd", "Supervision", "Deployment", "Leases", "Settings",
        "Ledger",
        "LeaseStores", "Databases", "DeploymentRuntime", "Probing", "ControlProtocol", "ControlClient",
        .product(name: "ArgumentParser", package: "swift-argument-parser"),
      ], swiftSettings: strict),

    // Tests: one folder per target. Tests/ProcessTests and Tests/SystemTests test from outside.
    tests(of: "Vocabulary"),
    tests(of: "LinuxSystem", ["Vocabulary", "CLinux"]),
    tests(of: "Systemd", ["Vocabulary", "LinuxSystem", "CLinux"]),
    // Pages made from the code and compared with it; what a person may ask of the tests by environment.
    .target(name: "TestPages", path: "Tests/TestPages", swiftSettings: strict),
    tests(of: "Supervision", ["Vocabulary", "TestPages"]),
    tests(of: "Deployment", ["Vocabulary", "TestPages"]),
    tests(of: "Leases", ["Vocabulary", "TestPages"]),
    tests(of: "Probing", ["Vocabulary", "LinuxSystem", "CLinux"]),
    tests(of: "Settings", ["Vocabulary", "TestPages"]),
    tests(of: "Ledger", ["Vocabulary", "LinuxSystem"]),
    tests(of: "LeaseStores", ["Vocabulary", "LinuxSystem", "Leases", "Ledger", "Databases"]),
    tests(
      of: "DeploymentRuntime",
      [
        "Databases", "Vocabulary", "LinuxSystem", "CLinux", "CArchive", "CSQLite", "JSON", "Systemd", "Deployment",
        "Settings",
        "Ledger",
      ]),
    tests(
      of: "baton", ["Vocabulary", "Settings", "DeploymentRuntime", "ControlProtocol", "JSON"], name: "DoctorTests"),
    tests(
      of: "SupervisorRuntime",
      ["Vocabulary", "LinuxSystem", "CLinux", "JSON", "Systemd", "Supervision", "Settings", "Leases", "LeaseStores"]),
    .testTarget(
      name: "ControlTests",
      dependencies: [
        "Vocabulary", "LinuxSystem", "CLinux", "JSON", "ControlProtocol", "ControlServer", "ControlClient", "baton",
      ],
      exclude: ["Golden"], swiftSettings: strict),

    // What reads bytes that others wrote, with bytes that others could have written.
    .testTarget(
      name: "FuzzTests",
      dependencies: [
        "Vocabulary", "LinuxSystem", "JSON", "Systemd", "Settings", "ControlProtocol", "SupervisorRuntime",
        "LeaseStores",
      ],
      exclude: ["Corpus", "Found"], swiftSettings: strict),

    // Programs that the tests, the demo and the benchmarks run.
    .executableTarget(
      name: "fixture-systemd", dependencies: ["Systemd"], path: "Tests/Fixtures/systemd", swiftSettings: strict),
    .executableTarget(
      name: "fixture-migrate",
      dependencies: ["Vocabulary", "LinuxSystem", "Settings", "Deployment", "DeploymentRuntime"],
      path: "Tests/Fixtures/migrate", swiftSettings: strict),
    .executableTarget(name: "fixture-service", path: "Tests/Fixtures/service", cSettings: strictC),
    .executableTarget(
      name: "fixture-activate",
      dependencies: ["Vocabulary", "LinuxSystem", "Settings", "Deployment", "DeploymentRuntime"],
      path: "Tests/Fixtures/activate", swiftSettings: strict),
    .executableTarget(name: "fixture-load", path: "Tests/Fixtures/load", cSettings: strictC),
  ],
  swiftLanguageModes: [.v6],
  cLanguageStandard: .gnu17,
  cxxLanguageStandard: .cxx17
)
