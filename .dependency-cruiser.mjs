/** Arrows point down only; each SDK has one home. See ARCHITECTURE.md. */

/** One SDK may be used in its homes, and in tests where said so. */
function sdkHome(name, packages, homes) {
  return {
    name: `home-of-${name}`,
    comment: `${name} is used in ${homes} only, so that it can be replaced, and its errors converted, in one place.`,
    severity: 'error',
    from: { pathNot: [...homes, '^test/'] },
    to: { path: packages },
  };
}

/** Type-only imports are gone after compiling; they still show what knows what, so they count. */
export default {
  forbidden: [
    {
      name: 'no-cycles',
      comment: 'Two files that need each other are one file, or need a third.',
      severity: 'error',
      from: {},
      to: { circular: true },
    },
    {
      name: 'domain-uses-nothing',
      comment: 'The domain is pure: no I/O, no clock, no packages. Workflow code imports it.',
      severity: 'error',
      from: { path: '^src/domain/' },
      to: { pathNot: '^src/domain/' },
    },
    {
      name: 'src-knows-no-pipeline',
      comment: 'What does the work does not know who asks for it.',
      severity: 'error',
      from: { path: '^src/', pathNot: '^src/(cli|worker|schedules)/' },
      to: { path: ['^workflows/', '^activities/', '^src/(cli|worker)/'] },
    },
    {
      name: 'worker-knows-no-cli',
      severity: 'error',
      from: { path: '^src/worker/' },
      to: { path: '^src/cli/' },
    },
    {
      name: 'workflows-are-deterministic',
      comment:
        'A workflow imports pure code, its own kind, the types of activities, and the shape of their failures.',
      severity: 'error',
      from: { path: '^workflows/' },
      to: {
        pathNot: [
          '^workflows/',
          '^src/domain/',
          '^activities/failures\\.ts$',
          '^node_modules/@temporalio/(workflow|common)/',
          '^node_modules/zod/',
        ],
        dependencyTypesNot: ['type-only'],
      },
    },
    {
      name: 'activities-are-below-workflows',
      comment: 'An activity knows contracts and queues at most.',
      severity: 'error',
      from: { path: '^activities/' },
      to: { path: ['^src/(cli|worker)/', '^workflows/(?!contracts)'], dependencyTypesNot: ['type-only'] },
    },
    {
      name: 'nothing-ships-tests',
      severity: 'error',
      from: { path: ['^src/', '^workflows/', '^activities/'] },
      to: { path: '^test/' },
    },
    {
      name: 'no-dev-dependency-at-run-time',
      severity: 'error',
      from: { path: ['^src/', '^workflows/', '^activities/'] },
      to: {
        dependencyTypes: ['npm-dev'],
        dependencyTypesNot: ['type-only', 'npm'],
        pathNot: '^node_modules/@types/',
      },
    },
    {
      name: 'resolvable',
      severity: 'error',
      from: {},
      to: { couldNotResolve: true },
    },
    sdkHome('aws-sdk', '^node_modules/@aws-sdk/', ['^src/storage/s3/', '^src/envelope/keys']),
    sdkHome(
      'google-cloud',
      ['^node_modules/@google-cloud/', '^node_modules/google-auth-library/'],
      ['^src/storage/gcs/', '^src/envelope/keys'],
    ),
    sdkHome('aws-encryption-sdk', '^node_modules/@aws-crypto/', ['^src/envelope/']),
    sdkHome('mysql2', '^node_modules/mysql2/', ['^src/mysql/']),
    sdkHome('execa', '^node_modules/execa/', ['^src/process/']),
    sdkHome('temporal-client', '^node_modules/@temporalio/client/', ['^src/cli/', '^src/schedules/']),
    sdkHome('temporal-worker', '^node_modules/@temporalio/worker/', ['^src/worker/']),
    sdkHome('temporal-activity', '^node_modules/@temporalio/activity/', ['^activities/', '^src/worker/']),
    sdkHome('temporal-workflow', '^node_modules/@temporalio/workflow/', ['^workflows/']),
  ],
  options: {
    tsConfig: { fileName: 'tsconfig.json' },
    tsPreCompilationDeps: true,
    doNotFollow: { path: 'node_modules' },
    enhancedResolveOptions: {
      exportsFields: ['exports'],
      conditionNames: ['import', 'node', 'default', 'types'],
    },
  },
};
