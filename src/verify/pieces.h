/*
 * pieces.h: verification in pieces, each of which can be checked by itself, in
 * any order and at any time: by a sample under a time budget (sample.c), or one
 * after the other over days (scrub.c).
 *
 * A piece is a tile of leaves, or a block of one of the ledger's tables or of a
 * tagged table. Together, all pieces answer the four questions but for what only
 * a whole pass can tell (a predecessor used twice, an entry with two leaves),
 * and rely on the stored tree and the table of heads as the way to their parts.
 */
#ifndef PROV_PIECES_H
#define PROV_PIECES_H

#include "verify/verify.h"

typedef enum PieceKind
{
	PIECE_LEAVES,				/* a tile: entries, images, hashes, path to the newest checkpoint */
	PIECE_ENTRIES,				/* is each entry in the log, or still to come? */
	PIECE_HEADS,				/* do rows exist that should? */
	PIECE_NODES,				/* hashes of the tree where the log has none */
	PIECE_CHECKPOINTS,			/* note, signature, root */
	PIECE_COSIGNATURES,
	PIECE_COUNTERSIGNATURES,
	PIECE_MERGED,				/* entries merged of partners */
	PIECE_MERGES,				/* their checkpoints */
	PIECE_ROWS,					/* rows of tagged tables, and their chains */
	PIECE_KINDS
} PieceKind;

/* A tagged table, or one that was. */
typedef struct PieceTable
{
	TableState *state;
	TableRows  *rows;			/* NULL: not tagged, not there, or not to be seen as a tagged table */
	int64		blocks;
	int64		first;			/* of its blocks among those of all tables opened by pieces_open_tables() */
	bool		missing;		/* from the registry: said so */
} PieceTable;

typedef struct Pieces
{
	Verify	   *v;
	int64		since_size;
	int64		count[PIECE_KINDS];	/* of ROWS: 0 until pieces_open_tables() */
	bool		rows;			/* else too many entries wait for the sealer, and rows cannot be judged */
	bool		skip_waiting;	/* leave rows out that have such entries */
	SealPast	past;
	LogKeys    *keys;			/* of the log; read when needed */
	MemoryContext row;			/* of one row; reset after it */
	PieceTable *tables;			/* at pieces_table() */
	int			ntables;
	int			cap;
} Pieces;

/*
 * A context for one piece, to be reset after it. It keeps its first megabyte:
 * giving that back to the system and faulting it in again is a fifth of the work.
 */
extern MemoryContext piece_context(MemoryContext parent);

/* since_size: of the log, only tiles from there on, and row chains no further back. */
extern void pieces_begin(Pieces *p, Verify *v, int64 since_size);
extern void pieces_end(Pieces *p);

/* What pieces of a kind are, for people: "tiles of leaves". */
extern const char *piece_name(PieceKind kind);

/* Checks piece n of count[kind]. Leaves garbage in the current memory context. */
extern void piece_check(Pieces *p, PieceKind kind, int64 n);

/* All tables, with their definitions; count[PIECE_ROWS] is then that of their blocks. */
extern void pieces_open_tables(Pieces *p);

/* One table; definition: check that too. */
extern PieceTable *pieces_table(Pieces *p, int32 table_id, bool definition);
extern void piece_check_rows(Pieces *p, PieceTable *table, int64 block);

/* ---- heads.c ---- */
extern void piece_check_heads(Pieces *p, HeapTuple tup);

#endif							/* PROV_PIECES_H */
