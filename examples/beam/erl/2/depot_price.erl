%% What things cost. This module is new.
-module(depot_price).
-vsn(2).
-export([of_pieces/1]).

of_pieces(Pieces) ->
    Pieces * 5.
