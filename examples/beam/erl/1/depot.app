{application, depot,
 [{description, "A depot that sells what it has"},
  {vsn, "1"},
  {modules, [depot_app, depot_door, depot_log, depot_news, depot_pool, depot_stock,
             depot_sup, depot_tally, depot_till, depot_worker]},
  {registered, [depot_door, depot_news, depot_pool, depot_stock, depot_sup, depot_till]},
  {applications, [kernel, stdlib, sasl]},
  {mod, {depot_app, []}},
  %% interval: milliseconds from one sale to the next
  {env, [{workers, 10}, {interval, 1000}]}]}.
