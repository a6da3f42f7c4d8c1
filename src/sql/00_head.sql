/* provenance--1.0.sql, assembled from src/sql/NN_*.sql */

-- complain if script is sourced in psql, rather than via CREATE EXTENSION
\echo Use "CREATE EXTENSION provenance" to load this file. \quit

GRANT USAGE ON SCHEMA provenance TO PUBLIC;
